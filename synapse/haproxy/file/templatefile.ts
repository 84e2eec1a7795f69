import { readFileSync } from 'node:fs';
import { reasonOf } from '../../../common/log.ts';
import { type FileTemplate, parseTemplate } from './template.ts';

/** Reads a user's template. @throws naming the file, when it cannot be read or cannot be used */
export function readTemplate(path: string): FileTemplate {
  try {
    return parseTemplate(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`${path}: ${reasonOf(error)}`, { cause: error });
  }
}
