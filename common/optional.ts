import { reasonOf } from './log.ts';

/**
 * Loads an npm package that only some configurations need. Never rejects: the function it resolves to gives the
 * package, or throws an error that says what to install, so that who does not use it never hears of it.
 */
export async function optionalPackage<Module>(name: string, load: () => Promise<Module>): Promise<() => Module> {
  try {
    const module = await load();
    return () => module;
  } catch (error) {
    return () => {
      const missing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
      const reason = missing ? 'it is not installed' : reasonOf(error);
      throw new Error(`needs the npm package ${name}: ${reason}; npm install ${name}`, { cause: error });
    };
  }
}
