import { joinPath, type Problem } from './problem.ts';

export interface InterpolateOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * Where strings stay as they are. `haproxy.global` names one place (`*` stands for any one key, as in
   * `services.*.haproxy.listen`); a name without a dot means that key wherever it is. What is below is left alone too.
   */
  readonly raw?: readonly string[];
  /** Where in the whole configuration the value stands, for the patterns of `raw`. */
  readonly keys?: readonly string[];
}

/** `$${` stands for `${`; otherwise `${NAME}` or `${NAME:-default}`. */
const variable = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/**
 * A deep copy with the environment's variables put into all string values (never into keys). Like the shell, the
 * default also stands in for an empty variable. What a variable brings in is not looked at again.
 */
export function interpolate(value: unknown, options: InterpolateOptions, problems: Problem[]): unknown {
  const patterns = (options.raw ?? []).map((pattern) => pattern.split('.'));

  const isRaw = (keys: readonly string[]): boolean =>
    patterns.some((pattern) =>
      pattern.length === 1
        ? keys.at(-1) === pattern[0]
        : pattern.length === keys.length && pattern.every((part, i) => part === '*' || part === keys[i]),
    );

  const replace = (text: string, path: string): string =>
    text.replace(variable, (whole, name: string | undefined, fallback: string | undefined) => {
      if (name === undefined) return whole.slice(1);
      const found = options.env[name];
      if (found !== undefined && (found !== '' || fallback === undefined)) return found;
      if (fallback !== undefined) return fallback;
      problems.push({
        path,
        message: `environment variable ${name} is not set; set it or give a default: \${${name}:-default}`,
      });
      return '';
    });

  const walk = (item: unknown, keys: readonly string[], path: string): unknown => {
    if (typeof item === 'string') return replace(item, path);
    if (Array.isArray(item)) return item.map((child, i) => walk(child, [...keys, String(i)], joinPath(path, i)));
    if (item === null || typeof item !== 'object') return item;
    return Object.fromEntries(
      Object.entries(item).map(([key, child]) => {
        const below = [...keys, key];
        return [key, isRaw(below) ? child : walk(child, below, joinPath(path, key))];
      }),
    );
  };
  return walk(value, options.keys ?? [], '');
}
