import { clock } from '../../common/async/clock.ts';
import { type Log, reasonOf } from '../../common/daemon/log.ts';
import type { EtcdClient } from '../../common/etcd/client/client.ts';
import { prefixRange } from '../../common/etcd/client/key-value.ts';
import { list } from '../../common/etcd/watch/list.ts';
import { type Answer, askFleet } from '../../common/fleet/ask.ts';
import { fleetKeys } from '../../common/fleet/keys.ts';
import type { FleetMemberConfig } from '../../common/fleet/options.ts';
import type { Question } from '../../common/fleet/question.ts';
import { proxiesIn } from '../../common/fleet/read-answers.ts';
import { parseProxy } from '../../common/fleet/records.ts';
import type { FleetDocument, FleetProxy } from '../report/fleet-shape.ts';
import type { ServiceQuestions } from './facts.ts';
import { differenceOf, presenceOf, reportOf } from './report.ts';

/** What {@link FleetInquiry} needs. */
export interface FleetInquiryDeps {
  readonly log: Log;
  readonly client: EtcdClient;
  readonly config: FleetMemberConfig;
  readonly host: string;
}

/** A list of the proxies that is not older is taken again. */
const presenceMs = 1_000;
/** How long the proxies have to answer. */
const askTimeoutMs = 4_000;
/** Between two questions, whoever asks: at least this long, and longer in proportion to the writes that they cost. */
const rest = { leastMs: 5_000, msPerAnswer: 5 } as const;
/** At most this many instances of a service are asked about, and this many answers are had, each of which is a write in etcd. */
const most = { instances: 20, answers: 4_000 } as const;

/** Reads and asks the fleet for people who look at the admin server of this synapse: bounded, however many there are. */
export class FleetInquiry {
  readonly #deps: FleetInquiryDeps;
  #presence: { readonly at: number; readonly read: Promise<FleetDocument> } | undefined;
  /** The last question, and when the next one may be asked: milliseconds of `clock.now()`. */
  #asked: { readonly about: string; readonly answer: Promise<FleetDocument>; nextAt: number } | undefined;

  /** Does no I/O. */
  constructor(deps: FleetInquiryDeps) {
    this.#deps = deps;
  }

  /** The proxies that there are. Asks none of them. Never rejects. */
  presence(signal: AbortSignal): Promise<FleetDocument> {
    const now = clock.now();
    if (this.#presence === undefined || now - this.#presence.at >= presenceMs) {
      this.#presence = { at: now, read: this.#readPresence(signal) };
    }
    return this.#presence.read;
  }

  /**
   * Asks all proxies how far they are, or those that follow a service what they have of it. Within some seconds, a second caller
   * gets the same answer; one with another question is told when it may be asked. Never rejects.
   */
  async ask(about: ServiceQuestions | undefined, signal: AbortSignal): Promise<FleetDocument> {
    const subject = about?.service ?? '';
    const last = this.#asked;
    if (last !== undefined && clock.now() < last.nextAt) {
      if (last.about === subject) return await last.answer;
      const seconds = Math.ceil((Math.min(last.nextAt, clock.now() + 60_000) - clock.now()) / 1_000);
      return {
        ...(await this.presence(signal)),
        reason: `the fleet was asked a moment ago: try again in ${seconds} s`,
      };
    }
    const asked = { about: subject, answer: this.#ask(about, signal), nextAt: Number.POSITIVE_INFINITY };
    this.#asked = asked;
    const { proxies } = await asked.answer;
    const questions = 1 + (about === undefined ? 0 : askedOf(about, proxies.length).length);
    asked.nextAt = clock.now() + Math.max(rest.leastMs, proxies.length * questions * rest.msPerAnswer);
    return await asked.answer;
  }

  async #readPresence(signal: AbortSignal): Promise<FleetDocument> {
    const { client, config, log } = this.#deps;
    const keys = fleetKeys(config.path);
    try {
      const listing = await list(client, prefixRange(keys.proxies), signal);
      const proxies = proxiesIn(keys, listing).map(({ id, entry }) => proxyOf(id, entry?.value));
      proxies.sort((a, b) => (a.proxy < b.proxy ? -1 : 1));
      return this.#document({ proxies });
    } catch (error) {
      log.debug('the proxies of the fleet could not be read', { reason: reasonOf(error) });
      return this.#document({ reason: `the proxies cannot be read: ${reasonOf(error)}` });
    }
  }

  async #ask(about: ServiceQuestions | undefined, signal: AbortSignal): Promise<FleetDocument> {
    const { client, config, host, log } = this.#deps;
    const presence = await this.presence(signal);
    const instances = about === undefined ? [] : askedOf(about, presence.proxies.length);
    const path = about?.path;
    const questions: Question[] = [
      { kind: 'revision', ...(path !== undefined && { path }) },
      ...instances.map(({ key }) => ({ kind: 'instance', path: String(path), key, expect: 'up' }) as const),
    ];
    const askedAt = clock.date().toISOString();
    const options = { fleet: config, by: `the page of synapse on ${host}`, questions, timeoutMs: askTimeoutMs };
    const { answers } = await askFleet(client, options, { log }, signal);
    const [first, ...others] = answers;
    const { progress } = first as Answer;
    if (progress.outcome === 'denied') {
      const remedy = 'synapse fleet -c FILE asks with the rights of another configuration';
      return { ...presence, service: about?.service ?? null, reason: `${progress.reason}; ${remedy}` };
    }
    const report = reportOf(config.path, first as Answer);
    const found = this.#document({ ...report, asked_at: askedAt, service: about?.service ?? null });
    if (about === undefined) return found;
    const differences = others.flatMap((answer, index) => differenceOf(String(instances[index]?.id), answer) ?? []);
    return { ...found, differences, not_compared: about.instances.length - instances.length };
  }

  #document(known: Partial<FleetDocument>): FleetDocument {
    const { path, id } = this.#deps.config;
    const time = clock.date().toISOString();
    return { path, id, time, revision: null, reason: null, proxies: [], asked_at: null, service: null, ...known };
  }
}

/** The instances to ask about. */
function askedOf({ instances }: ServiceQuestions, proxies: number): ServiceQuestions['instances'] {
  return instances.slice(0, Math.min(most.instances, Math.floor(most.answers / Math.max(1, proxies))));
}

function proxyOf(id: string, value: Buffer | undefined): FleetProxy {
  try {
    return presenceOf(id, parseProxy(value ?? ''));
  } catch (error) {
    return { ...presenceOf(id, null), reason: `its record cannot be read: ${reasonOf(error)}` };
  }
}
