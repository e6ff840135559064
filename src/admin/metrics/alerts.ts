// How the receivers of alerts fare. They keep counts of their own, which are taken over at each scrape.
import { Counter, type Registry } from 'prom-client';
import type { CourierState } from '../../alerts/courier.ts';
import type { MakeGauge } from './state.ts';

/** `states`: of each receiver. */
export function watchReceivers(registry: Registry, gauge: MakeGauge, states: () => readonly CourierState[]): void {
  new Counter({
    name: 'sallyport_alert_deliveries_total',
    help: 'Alerts by receiver and what became of them: delivered, failure (an attempt), dropped, gap (sent again).',
    labelNames: ['receiver', 'result'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { name: receiver, delivered, failures, dropped, gaps } of states()) {
        const results = { delivered, failure: failures, dropped, gap: gaps };
        for (const [result, count] of Object.entries(results)) this.inc({ receiver, result }, count);
      }
    },
  });
  const waiting = gauge('alerts_waiting', 'Alerts that a receiver has not taken yet.', ['receiver'], () => {
    waiting.reset();
    failing.reset();
    for (const { name: receiver, waiting: count, problem } of states()) {
      waiting.set({ receiver }, count);
      failing.set({ receiver }, problem === undefined ? 0 : 1);
    }
  });
  const failing = gauge('alert_receiver_failing', '1 when the last attempt to tell a receiver failed.', ['receiver']);
}
