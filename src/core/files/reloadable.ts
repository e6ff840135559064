// What can be read again while the process runs: certificates, clients, accounts, keys and parts of the configuration.

/** What a part found when it looked again; `detail` does not repeat the result. `apply` takes what is new into use, and cannot fail. */
export type Checked =
  | { result: 'unchanged' }
  | { result: 'changed'; apply(): void; detail?: string }
  /** `atOnce`: what of it is taken into use all the same. */
  | { result: 'needs_restart'; detail: string; atOnce?: string; apply?(): void }
  /** What is there cannot be used. It does no harm before a restart, which would fail. */
  | { result: 'restart_fails'; detail: string };

/** A part that can be read again. */
export interface Reloadable {
  /** How a report names it: a key of connector.yaml. */
  readonly part: string;
  /** Reads and checks what there is now, and uses nothing of it yet. Throws an OperatorError when it cannot be used. */
  check(): Checked;
}

export const UNCHANGED: Checked = { result: 'unchanged' };
