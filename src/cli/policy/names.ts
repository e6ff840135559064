// What a connector.yaml tells the gate: its tools with their arguments, its backends, and what its policy folder may say.
import { loadConfig } from '../../config/load.ts';
import { configuredNames as namesOf } from '../../policy/configured.ts';
import type { GateOptions } from '../../policy/gate/gate.ts';
import { settingsCheck } from '../../policy/settings-names.ts';

/** Reads the configuration. Rejects with an OperatorError when it has problems. */
export function configuredNames(file: string): Pick<GateOptions, 'names' | 'checkSettings'> {
  const config = loadConfig(file);
  return { names: namesOf(config), checkSettings: settingsCheck(config, () => {}) };
}
