import { clock } from '../async/clock.ts';

/** Where a program writes, and what that shows. */
export interface ProgressOutput {
  readonly print: (text: string) => void;
  readonly isTerminal: boolean;
  /** The width of the terminal in characters; undefined when it is not known. */
  readonly columns?: number | undefined;
}

/** Without a terminal, a line is printed at most this often. */
const lineEveryMs = 1_000;

/** Says how far a command is: on a terminal in one line that changes, elsewhere in a new line for each change. */
export class ProgressLine {
  readonly #output: ProgressOutput;
  #isShown = false;
  #last = '';
  #printedAt = Number.NEGATIVE_INFINITY;

  constructor(output: ProgressOutput) {
    this.#output = output;
  }

  /** Shows one line without its end. The text is fit for the terminal already. */
  show(text: string): void {
    if (text === this.#last) return;
    const { print, isTerminal, columns = 80 } = this.#output;
    if (isTerminal) {
      print(`${eraseLine}${text.length < columns ? text : `${text.slice(0, Math.max(0, columns - 2))}…`}`);
      this.#isShown = true;
    } else {
      if (clock.now() - this.#printedAt < lineEveryMs) return;
      print(`${text}\n`);
    }
    this.#last = text;
    this.#printedAt = clock.now();
  }

  /** Makes room for other output. */
  clear(): void {
    if (this.#isShown) this.#output.print(eraseLine);
    this.#isShown = false;
    this.#last = '';
  }
}

/** To the first column, and nothing behind it (ECMA-48: carriage return, "EL"). */
const eraseLine = '\r\u001b[K';
