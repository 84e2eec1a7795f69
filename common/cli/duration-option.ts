import { formats } from '../config/formats.ts';
import { reasonOf } from '../daemon/log.ts';
import { UsageError } from './program.ts';

/** Reads the value of an option that is a time, as configurations have it. @returns milliseconds @throws {UsageError} naming the option */
export function durationOption(option: string, text: unknown): number {
  try {
    return formats.duration(text) as number;
  } catch (error) {
    throw new UsageError(`--${option} ${text}: ${reasonOf(error)}`);
  }
}
