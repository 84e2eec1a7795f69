import { linkAbort, onAbort } from '../common/async/abort.ts';
import { clock, type Timer } from '../common/async/clock.ts';
import type { Host } from '../common/host.ts';
import type { Instance } from '../common/instance.ts';
import { Addressing } from './addresses/addressing.ts';
import type { KnownName } from './addresses/known-name.ts';
import { NameResolver } from './addresses/name-resolver.ts';
import type { CatalogChange } from './catalog/catalog-entry.ts';
import type { SynapseConfig } from './config/config.ts';
import { listenersOf } from './config/own-listeners.ts';
import { readServersInFile, type ServersInFile } from './haproxy/configfile/servers-in-file.ts';
import { orderSeed } from './haproxy/options/config.ts';
import type { ServiceOutputConfig } from './output.ts';

/** The parts of the configuration that decide about addresses. */
export type AddressesConfig = Pick<SynapseConfig, 'dns' | 'haproxy' | 'admin'>;

/** A host name that cannot be looked up now. */
export interface FailingName {
  readonly name: string;
  readonly reason: string;
}

/** What {@link InstanceAddresses} uses of its surroundings. */
export interface InstanceAddressesDeps {
  readonly host: Pick<Host, 'files' | 'lookUpName' | 'ownAddresses'>;
  /** The section of each service that is in force. */
  readonly services: () => Iterable<readonly [service: string, config: ServiceOutputConfig]>;
  /** Instances have to be placed again: those with these host names, or all. */
  readonly onChange: (names?: ReadonlySet<string>) => void;
  /** Is told of names that cannot be looked up. */
  readonly nameEvents?: { note(failing: readonly FailingName[]): void };
}

/** Milliseconds between two looks at the addresses of this host. */
const ownAddressesMs = 10_000;
/** Milliseconds that the first write waits for the addresses of host names: mostly they are there in a few. */
const firstNamesMs = 500;

/** Where the instances of all services are: the resolver of their host names, and the rules for their addresses. */
export class InstanceAddresses {
  readonly addressing: Addressing;
  readonly #deps: InstanceAddressesDeps;
  readonly #resolver: NameResolver;
  #config: AddressesConfig;
  #inFile: ServersInFile | undefined;
  /** The sections of the services for which the listeners were worked out. */
  #listening: ReadonlyMap<string, ServiceOutputConfig> = new Map();
  #timer: Timer | undefined;

  /** Does no I/O. */
  constructor(config: AddressesConfig, deps: InstanceAddressesDeps) {
    this.#config = config;
    this.#deps = deps;
    const { host, onChange } = deps;
    this.#resolver = new NameResolver(config.dns, {
      lookUp: host.lookUpName,
      seed: orderSeed(config.haproxy),
      onChange: (names) => {
        onChange(names);
        deps.nameEvents?.note(this.#failing());
      },
    });
    this.addressing = new Addressing({
      look: (name) => this.#resolver.look(name),
      remembered: (service, instance) => this.#remembered(service, instance),
      ownAddresses: host.ownAddresses,
    });
  }

  /** Reads what an earlier synapse wrote, and the addresses of this host. Ends all lookups when `signal` aborts. Never rejects. */
  async start(signal: AbortSignal): Promise<void> {
    onAbort(signal, () => this.#end());
    const { host, onChange } = this.#deps;
    const { haproxy } = this.#config;
    this.#inFile = await readServersInFile(haproxy.do_writes ? haproxy.config_file_path : null, host.files);
    this.addressing.refresh();
    if (signal.aborted) return;
    this.#timer = clock.setInterval(() => {
      if (this.addressing.refresh()) onChange();
    }, ownAddressesMs);
    this.#timer.unref();
  }

  /** Takes a new configuration. */
  configure(config: AddressesConfig): void {
    const isNew = config.haproxy !== this.#config.haproxy || config.admin.listen !== this.#config.admin.listen;
    this.#config = config;
    this.#resolver.configure(config.dns);
    if (isNew) this.#listen();
  }

  /** Follows what changed in the catalog: the host names in use, and what HAProxy listens on. */
  take(changes: readonly Pick<CatalogChange, 'service' | 'names' | 'config'>[]): void {
    let isNew = false;
    for (const { service, names, config } of changes) {
      this.#resolver.use(service, names);
      isNew ||= this.#listening.get(service) !== config;
    }
    if (isNew) this.#listen();
  }

  /** Waits until the host names have their first answers, for `limitMs` milliseconds at most. */
  async firstNames(signal: AbortSignal, limitMs = firstNamesMs): Promise<void> {
    const end = linkAbort(signal);
    const timer = clock.setTimeout(() => end.abort(), limitMs);
    await this.#resolver.settled(end.signal);
    clock.clearTimeout(timer);
    end.release();
  }

  /** What is known of a host name. */
  readonly look = (name: string): KnownName | undefined => this.#resolver.look(name);

  #failing(): readonly FailingName[] {
    const failing: FailingName[] = [];
    for (const [name, { reason }] of this.#resolver.all()) if (reason !== null) failing.push({ name, reason });
    return failing;
  }

  #end(): void {
    clock.clearInterval(this.#timer);
    this.#resolver.end();
  }

  #listen(): void {
    const { services, onChange } = this.#deps;
    this.#listening = new Map(services());
    if (this.addressing.listen(listenersOf(this.#config, this.#listening))) onChange();
  }

  #remembered(service: string, instance: Instance): string | undefined {
    const config = this.#listening.get(service);
    return config && this.#inFile?.addressOf(service, config, instance);
  }
}
