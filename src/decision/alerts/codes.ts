// What the connector itself raises alerts about. Reason codes of the policy are described in its METADATA; the two sets do not
// overlap, except for the refusals that say that the policy gave no decision. docs/alerts.md has a row for each of these.
import type { RefusalCode } from '../refusal-codes.ts';

export const SEVERITIES = ['low', 'medium', 'high'] as const;
/** How soon somebody should look: low when there is time, medium today, high at once. */
export type Severity = (typeof SEVERITIES)[number];

export interface AlertKind {
  severity: Severity;
  /** What has happened, as a sentence without a full stop. */
  title: string;
  /** What to do about it. */
  mend: string;
  /** Names of parameters that say what it is about: two alerts that differ in one of them are about two things. */
  about?: readonly string[];
  /**
   * It describes a state that goes on until the connector says that it is over; `by_use`: only use shows that. Others are over
   * when nothing more comes.
   */
  lasts?: 'told' | 'by_use';
  /** It is about this replica: another one that has the same is another thing. */
  local?: true;
}

const kinds = <T extends string>(all: Record<T, AlertKind>): Readonly<Record<T, AlertKind>> => all;

/** Every code that the connector raises by itself, with its severity where `settings.alerts` says nothing else. */
export const ALERTS = kinds({
  'authn.proof_replayed': {
    severity: 'high',
    title: 'A DPoP proof was used a second time',
    mend: 'Somebody has read a request of this client: revoke the client, and find out where its traffic was read',
    about: ['network'],
  },
  'authn.too_many_failures': {
    severity: 'medium',
    title: 'Very many credentials from one network were refused',
    mend: 'Look at who is there; a client with an old key looks the same as somebody who guesses',
    about: ['network'],
  },
  'admin.too_many_failures': {
    severity: 'high',
    title: 'Very many admin tokens from one network were refused',
    mend: 'Nobody but operators should reach the admin listener: close its port to that network',
    about: ['network'],
  },
  'handle.too_many_unknown': {
    severity: 'medium',
    title: 'A client named very many handles that are not its own',
    mend: 'Look at the client: one that never begins a new conversation after a 404 is broken, another one guesses',
  },
  'handle.foreign': {
    severity: 'high',
    title: 'A client used a handle that was given to another client, or a forged one',
    mend: 'Somebody has a copy of a conversation of another client: revoke both, or mend a gateway that mixes its users',
  },
  'handle.revoked': {
    severity: 'medium',
    title: 'A handle was used after it had been revoked',
    mend: 'Once, it is the client that was shut out; again and again, freeze the client',
  },
  'session.unopenable': {
    severity: 'high',
    title: 'A stored session does not open',
    mend: 'Was a key removed from the keyring? If not, somebody has changed the row in the store',
    about: ['backend', 'owner'],
  },
  'session.residual': {
    severity: 'medium',
    title: 'A backend session could not be ended, and may still work for whoever has its token',
    mend: 'End it in the application; look at its logout and its probe in connector.yaml',
    about: ['backend'],
  },
  'store.rolled_back': {
    severity: 'high',
    title: 'The store knows less than it did, or has given an older row',
    mend: 'Somebody has changed or restored the store: find out who, and revoke everything if you do not know',
  },
  'store.history_lost': {
    severity: 'high',
    title: 'The store has lost what it knew, or may have',
    mend: 'Was it restarted, or did it fail over? Sessions rotate by themselves; destructive calls need a new conversation',
  },
  'keyring.mismatch': {
    severity: 'high',
    title: 'This replica has another keyring than the others, and is not ready',
    mend: 'Copy their keyring file',
    lasts: 'told',
    local: true,
  },
  'revocations.many': {
    severity: 'high',
    title: 'The revocations come near the most that are kept',
    mend: 'At the most, one revocation of everything takes their place: revoke by client or by backend instead',
  },
  'freeze.ignored': {
    severity: 'high',
    title: 'Something was frozen, and the policy does not look at freezes',
    mend: 'Nobody is stopped by it: take over the shipped rule (sallyport policy update)',
    about: ['freeze'],
  },
  'policy.refused': {
    severity: 'medium',
    title: 'A policy was to be taken into use and was refused; the one before still decides',
    mend: 'sallyport policy check says what is wrong with it',
    about: ['revision'],
    local: true,
  },
  'policy.held_process': {
    severity: 'high',
    title: 'A rule held the process until it was ended',
    mend: 'Find the rule with sallyport policy check, and activate a policy without it',
    about: ['revision', 'tool'],
    local: true,
  },
  'policy.replicas_differ': {
    severity: 'high',
    title: 'Replicas have decided with different policies for longer than a deployment takes',
    mend: 'sallyport policy status --all says which; activate one on all of them',
    lasts: 'told',
  },
  'decision.undefined': {
    severity: 'high',
    title: 'The policy gave no result, so the call was refused',
    mend: 'sallyport policy check; roll back to the policy before (sallyport policy rollback)',
  },
  'decision.error': {
    severity: 'high',
    title: 'The policy could not be evaluated, so the call was refused',
    mend: 'sallyport policy check; roll back to the policy before (sallyport policy rollback)',
  },
  'decision.malformed': {
    severity: 'high',
    title: 'The policy gave a result that is none, so the call was refused',
    mend: 'sallyport policy check; roll back to the policy before (sallyport policy rollback)',
  },
  'decision.unknown_obligation': {
    severity: 'high',
    title: 'The policy ordered something that this connector does not know, so the call was refused',
    mend: 'The policy is of a newer version than the connector: update it, or roll back the policy',
  },
  'decision.over_budget': {
    severity: 'high',
    title: 'The policy took longer than its budget, so the call was refused',
    mend: 'The operational log names the rule; a client that sends such arguments on purpose is slowed down by itself',
  },
  'configuration.replicas_differ': {
    severity: 'medium',
    title: 'Replicas have run with different configurations for longer than a deployment takes',
    mend: 'sallyport status says which; deploy one to all of them',
    lasts: 'told',
  },
  'reload.refused': {
    severity: 'medium',
    title: 'A reload was refused, and nothing was changed',
    mend: 'Mend the file that the record names, and reload again',
    about: ['refused'],
    local: true,
  },
  'reload.restart_fails': {
    severity: 'medium',
    title: 'A file was changed, and a restart would fail over it',
    mend: 'Mend it before the next restart',
    about: ['parts'],
    local: true,
  },
  'file.unusable': {
    severity: 'medium',
    title: 'A file that is watched cannot be used; the last good one stays in force',
    mend: 'Mend the file: changes in it have no effect before',
    about: ['part'],
    lasts: 'told',
    local: true,
  },
  'log.gap': {
    severity: 'high',
    title: 'Records of the decision log may be missing',
    mend: 'sallyport audit verify says which; was the disk full, or was a file removed?',
    about: ['log'],
    local: true,
  },
  'log.foreign_writer': {
    severity: 'high',
    title: 'Somebody else has written into the decision log',
    mend: 'Two connectors with one file, or somebody with a purpose: sallyport audit verify names the lines',
    about: ['log'],
    local: true,
  },
  'log.failing': {
    severity: 'high',
    title: 'The decision log cannot be written, and calls are refused',
    mend: 'Make room on the disk, or mend its permissions; calls go on by themselves',
    about: ['log'],
    lasts: 'told',
    local: true,
  },
  'log.checkpoints_unreachable': {
    severity: 'medium',
    title: 'Checkpoints do not reach the place where copies of them are kept',
    mend: 'Until they do, whoever can change the log can cut its end off unseen',
    lasts: 'told',
    local: true,
  },
  'clock.skew': {
    severity: 'medium',
    title: 'The clock of this machine differs too much from that of the store, and the replica is not ready',
    mend: 'Look at the time service of this machine',
    lasts: 'told',
    local: true,
  },
  'backend.login_failing': {
    severity: 'medium',
    title: 'A backend does not take the logins of the connector',
    mend: 'sallyport backend check NAME; is it down, or was a password changed?',
    about: ['backend'],
    lasts: 'by_use',
    local: true,
  },
  'backend.account_near_lockout': {
    severity: 'high',
    title: 'A backend has refused the same account several times in a row; some applications lock it now',
    mend: 'Freeze the backend (sallyport freeze --backend NAME), set the right password, then thaw',
    about: ['backend'],
  },
  'expiry.near': {
    severity: 'medium',
    title: 'A certificate or a client key ends soon',
    mend: 'Replace it; SIGHUP or sallyport reload takes a new one into use',
    about: ['what'],
    lasts: 'told',
    local: true,
  },
  'expiry.over': {
    severity: 'high',
    title: 'A certificate or a client key has ended',
    mend: 'Replace it; SIGHUP or sallyport reload takes a new one into use',
    about: ['what'],
    lasts: 'told',
    local: true,
  },
  'alerts.receiver_failing': {
    severity: 'medium',
    title: 'A receiver of alerts does not take them; they wait',
    mend: 'sallyport alerts list says why',
    about: ['receiver'],
    lasts: 'by_use',
    local: true,
  },
  'alerts.dropped': {
    severity: 'high',
    title: 'Alerts were dropped: there were more than fit, or a receiver would not have them',
    mend: 'They stand in the log of events, with "type":"alert"; mend the receiver',
    about: ['receiver'],
    local: true,
  },
  'alerts.gap': {
    severity: 'medium',
    title: 'A connection to a receiver broke, and nobody knows whether it had read what was sent; it is sent again',
    mend: 'Expect copies with equal ids there; look at why the receiver ended',
    about: ['receiver'],
    local: true,
  },
  'alerts.spool_failing': {
    severity: 'high',
    title: 'Alerts cannot be kept on disk: those that wait would be lost with this process',
    mend: 'Make room on the disk of state_dir, or mend its permissions',
    lasts: 'told',
    local: true,
  },
  'alerts.silenced': {
    severity: 'low',
    title: 'An operator has silenced alerts',
    mend: 'Was it meant? sallyport alerts list shows what is silent, until when, by whom and why',
    about: ['codes', 'client', 'until'],
  },
  'alerts.receiver_removed': {
    severity: 'medium',
    title: 'A receiver of alerts that was there before this start is not configured any more',
    mend: 'Was it meant? What waited for it is dropped; see "alerts" in connector.yaml',
    about: ['receiver'],
    local: true,
  },
});

/** A code of an alert of the connector. Dashboards may rely on it. */
export type AlertCode = keyof typeof ALERTS;

/** The codes of calls that were refused because the policy gave no decision: each of them is an alert. */
export type FailedDecision = Extract<RefusalCode, AlertCode>;

export const isAlertCode = (code: string): code is AlertCode => Object.hasOwn(ALERTS, code);
