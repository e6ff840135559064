// When what this replica works with ends: the certificates in force, which are not always those on disk, and client keys.
import { certificateEnds } from '../config/certificates.ts';
import type { Config } from '../config/load.ts';

/** When something ends, in milliseconds since 1970. */
export interface Ending {
  what: string;
  at: number;
}

export interface Endings {
  present(): readonly Ending[];
  /** The listeners have read their certificates again. */
  reloaded(): void;
}

const SECTIONS_READ_AGAIN = ['listen', 'admin'];

/** To be made when the certificates have just been read. */
export function createEndings(config: () => Config, identity: { readonly firstExpiry: number | undefined }): Endings {
  const read = () => certificateEnds(config()).map(({ path, endsAt }) => ({ what: path.join('.'), at: endsAt }));
  const again = ({ what }: Ending) => SECTIONS_READ_AGAIN.includes(what.split('.')[0] ?? '');
  let certificates = read();
  return {
    present() {
      const { firstExpiry } = identity;
      return [...certificates, ...(firstExpiry === undefined ? [] : [{ what: 'client key', at: firstExpiry }])];
    },
    reloaded() {
      certificates = [...read().filter(again), ...certificates.filter((each) => !again(each))];
    },
  };
}
