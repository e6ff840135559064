// What a verifier has to say.

/**
 * What is wrong, named by what somebody must have done. `damage`: in the part that no checkpoint signs yet, where a fault of
 * a disk and a hand look the same. `unreadable`: the file ends in the middle of itself.
 */
export type FindingKind =
  | 'edit'
  | 'delete'
  | 'insert'
  | 'reorder'
  | 'fork'
  | 'foreign_writer'
  | 'resealed'
  | 'truncated'
  | 'rolled_back'
  | 'damage'
  | 'unreadable';

/** Where it is: a line of a file, and the number of the record in its chain, as far as they are known. */
export interface Finding {
  kind: FindingKind;
  message: string;
  file: string | null;
  line: number | null;
  chain: string | null;
  seq: number | null;
  decision_id?: string;
}

/** Records that are missing, and that the log itself says are. */
export interface Gap {
  chain: string;
  from_seq: number | null;
  to_seq: number | null;
  cause: string;
  at: string;
  /** Decisions whose calls were refused for it. */
  refused: number;
  /** How many of the records are not in the files. */
  missing: number;
  /** Whether a checkpoint signs the record that says so. */
  signed: boolean;
}

/** One chain, as far as it is in the files. */
export interface ChainReport {
  chain: string;
  log: string | null;
  replica: string | null;
  from_seq: number;
  to_seq: number;
  /** The last checkpoint with a signature that is right. */
  signed_to: number | null;
  signed_at: string | null;
  signed_by: string | null;
  /** The log was closed, or continued in another file, behind that. */
  sealed: boolean;
  /** Another chain goes on where this one ends. */
  continued: boolean;
  /** An anchor says how far the chain goes, at least. */
  anchored: boolean;
}

export interface Report {
  /** `whole`: nothing is missing up to what the anchor says. `to_checkpoint`: up to the last checkpoint; what followed cannot be judged. */
  verdict: 'whole' | 'to_checkpoint' | 'unchained' | 'bad';
  chains: ChainReport[];
  findings: Finding[];
  gaps: Gap[];
  notes: string[];
  lines: number;
  bytes: number;
}
