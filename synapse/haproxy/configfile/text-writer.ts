import { clock } from '../../../common/async/clock.ts';
import { keepNewest } from '../../../common/keep-newest.ts';
import type { HaproxyEvent } from '../events.ts';
import { configsTotal } from '../metrics.ts';
import type { ConfigFile } from './config-file.ts';
import type { ConfigText } from './config-text.ts';
import type { Refusal } from './find-refused.ts';

/** How many accepted shapes are remembered, or twice as many as a text has: a text of others is checked again. */
const mostShapes = 10_000;

/** What {@link TextWriter} needs. */
export interface TextWriterDeps {
  readonly emit: (event: HaproxyEvent) => void;
  /** Undefined when files are not to be written. */
  readonly file: Pick<ConfigFile, 'check' | 'write'> | undefined;
}

/** Writes texts into the file, and remembers the shapes of server lines that a check has accepted. */
export class TextWriter {
  readonly #deps: TextWriterDeps;
  /** The shapes that were in a text last come last. */
  readonly #acceptedShapes = new Map<string, true>();
  #writtenAt: Date | undefined;

  constructor(deps: TextWriterDeps) {
    this.#deps = deps;
  }

  /** When the file was written last. */
  get writtenAt(): Date | undefined {
    return this.#writtenAt;
  }

  /** HAProxy accepts other servers of these shapes too. */
  get acceptedShapes(): Pick<ReadonlySet<string>, 'has' | 'size'> {
    return this.#acceptedShapes;
  }

  /** True when the check has accepted all shapes of a text. */
  isAccepted({ shapes }: ConfigText): boolean {
    return [...shapes].every((shape) => this.#acceptedShapes.has(shape));
  }

  /** Checks a text and writes nothing. @returns null when it is accepted @throws when there is no result */
  async check({ text }: ConfigText, signal: AbortSignal): Promise<Refusal | null> {
    const result = await this.#deps.file?.check(text, signal);
    return result?.result === 'refused' ? result : null;
  }

  /** Writes a text. @returns null when the file has it now, else why it was refused @throws when it cannot be written */
  async write(
    { text, shapes }: ConfigText,
    { check }: { readonly check: boolean },
    signal: AbortSignal,
  ): Promise<Refusal | null> {
    const { file, emit } = this.#deps;
    if (file === undefined) return null;
    const result = await file.write(text, { check }, signal);
    if (result.result === 'refused') return result;
    if (result.result === 'written') {
      this.#writtenAt = clock.date();
      configsTotal.inc({ result: 'written' });
      emit({ type: 'written', bytes: text.length });
    }
    if (check || result.result === 'unchanged') this.#remember(shapes);
    return null;
  }

  /** Records may ask for other options all the time, and each time it is another shape. */
  #remember(shapes: ReadonlySet<string>): void {
    const most = Math.max(mostShapes, 2 * shapes.size);
    for (const shape of shapes) keepNewest(this.#acceptedShapes, shape, { value: true, most });
  }
}
