import { masked } from '../../../common/config/secrets.ts';
import { nearest } from '../../../common/nearest.ts';
import { configLineAt } from '../spec/config-lines.ts';
import type { Finding } from './check.ts';
import type { ConfigText } from './config-text.ts';
import type { Refusal } from './find-refused.ts';
import { type OriginFacts, originOf } from './line-origin.ts';
import { lineNamedIn } from './named-line.ts';

/** An error of HAProxy in the words of synapse's configuration. */
export interface ExplainedFinding extends Finding {
  /** `services.api.haproxy.listen[1]`; undefined when no line is named, or synapse made it by itself. */
  readonly origin: string | undefined;
  /** What HAProxy said, with the line; without the origin. */
  readonly said: string;
}

/**
 * The errors of HAProxy about a text, with the keys of the configuration that its lines come from in place of a temporary file.
 * An error that HAProxy repeats, because a line of `listen` is in the frontend and in the backend, is there once.
 */
export function explainFindings(
  findings: readonly Finding[],
  text: ConfigText,
  facts: OriginFacts,
): readonly ExplainedFinding[] {
  const explained = new Map<string, ExplainedFinding>();
  const isSummary = ({ line, message }: Finding): boolean => line === undefined && summaries.test(message);
  const real = findings.filter((finding) => !isSummary(finding));
  for (const finding of real.length > 0 ? real : findings) {
    const one = explain(finding, text, facts);
    const key = one.origin === undefined ? one.message : `${one.origin} ${withoutSide(one.said)}`;
    if (!explained.has(key)) explained.set(key, one);
  }
  return [...explained.values()];
}

/** A refusal with its findings explained. */
export function explainRefusal({ message, findings }: Refusal, text: ConfigText, facts: OriginFacts): Refusal {
  if (findings.length === 0) return { message, findings };
  const explained = explainFindings(findings, text, facts);
  return { message: explained.map((finding) => finding.message).join('; '), findings: explained };
}

/** The sentences that end HAProxy's errors and say nothing about them. */
const summaries = /^(?:config\s*:\s*)?(?:Error\(s\) found in configuration file|Fatal errors found in configuration)/i;

function explain(finding: Finding, text: ConfigText, facts: OriginFacts): ExplainedFinding {
  const { line: number = lineNamedIn(finding.message, text.text) } = finding;
  const line = number === undefined ? undefined : configLineAt(text.text, number);
  const said = shorten(withoutFile(finding.message));
  if (number === undefined || line === undefined) return { ...finding, message: said, said, origin: undefined };
  const origin = originOf(line, text.locate(number), { ...facts, said });
  const hint = suggestion(said, line.text);
  const whole = `${said.replace(/\.$/, '')}${hint} (line ${number}: ${shownLine(line.text)})`;
  return { line: number, said: whole, origin, message: origin === undefined ? whole : `${origin}: ${whole}` };
}

/** `config : parsing [/tmp/x/haproxy.cfg:7] : unknown …` without its beginning, and other places in the file as `line 7`. */
function withoutFile(message: string): string {
  return message
    .replace(/^config\s*:\s*/, '')
    .replace(/^(?:parsing\s+)?\[[^\]\s]*:\d+\]\s*:\s*/, '')
    .replace(/\[[^\]\s]*\/[^\]\s]*:(\d+)\]/g, 'line $1');
}

/** HAProxy lists all words that it knows: the end of the sentence, with the word that it would take, has to stay. */
function shorten(message: string): string {
  return message.replace(/((?:'[^']*',\s*){4})(?:'[^']*',\s*){6,}/g, '$1…, ');
}

/** The word nearest to one of the line among those that HAProxy would take, unless HAProxy has named one. */
function suggestion(said: string, line: string): string {
  if (/did you mean/i.test(said)) return '';
  const words = line.split(/\s+/);
  const quoted = [...said.matchAll(/'([^'\s]+)'/g)].map(([, word = '']) => word);
  const known = quoted.filter((word) => !words.includes(word));
  for (const word of words.slice(1)) {
    const near = /^[a-z][a-z0-9-]*$/i.test(word) ? nearest(word, known) : undefined;
    if (near !== undefined && near !== word) return `; did you mean '${near}'?`;
  }
  return '';
}

const longestLine = 160;

/** A line for people. Of a line that may have a secret in it, perhaps behind a misspelt word, only the first words. */
function shownLine(line: string): string {
  const mayHide = /^(?:stats|user|group)\s|pass|auth|secret|token|credential|\bkey\b|setenv|presetenv/i.test(line);
  const shown = mayHide ? `${line.split(/\s+/).slice(0, 2).join(' ')} …` : String(masked(line));
  return shown.length > longestLine ? `${shown.slice(0, longestLine)}…` : shown;
}

/** The same error in a frontend and a backend. */
function withoutSide(said: string): string {
  return said.replace(/\(line \d+: /, '(').replace(/'(?:frontend|backend)' section|section '(?:frontend|backend)'/, '');
}
