// The options of every command that asks the admin listener of a running connector.
import type { Command } from 'commander';

/** Makes commands that ask the admin listener of a running connector. */
export const asking = (parent: Command) => (name: string, description: string) =>
  parent
    .command(name)
    .description(description)
    .option('-u, --url <url>', 'admin listener', 'http://127.0.0.1:8788')
    .option('-t, --token-file <file>', 'file with the admin token (else: SALLYPORT_ADMIN_TOKEN)')
    .option('--plaintext', 'send the token by http:// beyond this machine')
    .option('--ca <file>', 'private CA of the listener (PEM)')
    .option('--cert <file>', 'certificate to show, where the listener demands one (PEM)')
    .option('--key <file>', 'its key');
