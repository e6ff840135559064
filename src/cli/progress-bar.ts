/** One line on a terminal that is written over, and nothing elsewhere. */
export interface ProgressBar {
  show(read: number, all: number): void;
  end(): void;
}

/** `doing`: what is done, such as "verifying". */
export function progressBar(doing: string): ProgressBar {
  if (!process.stderr.isTTY) return { show: () => {}, end: () => {} };
  let shown = '';
  return {
    show(read, all) {
      const text = `${doing} ${Math.floor((read / Math.max(all, 1)) * 100)} %`;
      if (text === shown) return;
      shown = text;
      process.stderr.write(`\r${text}`);
    },
    end() {
      if (shown !== '') process.stderr.write(`\r${' '.repeat(shown.length)}\r`);
    },
  };
}
