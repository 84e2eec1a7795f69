/** A fault that is put into a copy of the built daemons, to see whether a simulation finds it. */
export interface PlantedFault {
  readonly name: string;
  /** Path of the built file. */
  readonly file: string;
  /** Each text is in the file once; what it becomes. */
  readonly edits: readonly (readonly [from: string, to: string])[];
}

/** One for each part of the rules that the simulation proves. */
export const plantedFaults: readonly PlantedFault[] = [
  {
    name: 'a key is written whatever its revision is',
    file: 'common/etcd/keys/key-operations.js',
    edits: [["compare: [{ key, target: 'Mod', result: 'Equal', mod_revision: modRevision }],", 'compare: [],']],
  },
  {
    name: 'a lease is not replaced after a write that was not answered',
    file: 'common/etcd/keys/lease.js',
    edits: [['rotate() {', 'rotate() {\n        return;']],
  },
  {
    name: 'a lost lease is not noticed',
    file: 'common/etcd/keys/lease.js',
    edits: [['lost(id) {', 'lost(id) {\n        return;']],
  },
  {
    name: 'every 50th event of a watch is lost',
    file: 'common/etcd/watch/watch-stream.js',
    edits: [
      [
        'watched.applyEvents(events, seenAt)',
        'watched.applyEvents(events.filter(() => (globalThis.planted = (globalThis.planted ?? 0) + 1) % 50 !== 0), seenAt)',
      ],
    ],
  },
  {
    name: 'a compacted watch is not begun again',
    file: 'common/etcd/watch/watch-stream.js',
    edits: [['this.#hooks.onWatcherEnd(watcher.watched, end, error);', '']],
  },
  {
    name: 'a replaced worker is taken for the one in charge',
    file: 'synapse/haproxy/runtime/process.js',
    edits: [
      ["if (worker.stopping || relation === 'replaced') {", 'if (false) {'],
      ['if (worker.stopping || this.worker === undefined', 'if (this.worker === undefined'],
    ],
  },
  {
    name: 'backends without servers are forgotten',
    file: 'synapse/haproxy/runtime/server-state.js',
    edits: [['if (!this.#running.has(backend))', 'if (false)']],
  },
  {
    name: 'a change that had no effect is not sent again',
    file: 'synapse/haproxy/runtime/attempts.js',
    edits: [['if (attempt?.retryAt === undefined)', 'if (attempt === undefined)']],
  },
  {
    name: 'a pause leaves its timer behind when it is aborted',
    file: 'common/async/sleep.js',
    edits: [['clock.clearTimeout(timer);', '']],
  },
  {
    name: 'each event of a watch leaves a timer',
    file: 'common/etcd/watch/watch-stream.js',
    edits: [
      ['#events(response, seenAt) {', '#events(response, seenAt) {\n        clock.setTimeout(() => { }, 86_400_000);'],
    ],
  },
  {
    name: 'synapse does not know its own maintenance after a restart',
    file: 'synapse/haproxy/runtime/server-state.js',
    edits: [
      [
        'const isMarked = closed && weight === closedByUsWeight && file?.weight !== closedByUsWeight;',
        'const isMarked = false;',
      ],
    ],
  },
  {
    name: 'the state file counts for more than haproxy.cfg',
    file: 'synapse/haproxy/output.js',
    edits: [['this.#desired.update(trusted, changed)', 'this.#desired.update(snapshot, changed)']],
  },
  {
    name: 'a key that was deleted while its lease lives counts as lost',
    file: 'common/etcd/watch/judged-deletes.js',
    edits: [
      ["follower.settle(lease, verdict === 'alive' ? 'withdrawn' : 'lost');", "follower.settle(lease, 'lost');"],
      ["passed.push(...this.#takePending(lease, 'withdrawn'));", "passed.push(...this.#takePending(lease, 'lost'));"],
    ],
  },
  {
    name: 'a withdrawn instance counts as lost',
    file: 'synapse/catalog/lost-leases.js',
    edits: [
      [
        "if (state === 'down' || says(present, id, key) || says(set.withdrawn, id, key))",
        "if (state === 'down' || says(present, id, key))",
      ],
    ],
  },
  {
    name: 'a lost instance that does not answer is kept',
    file: 'synapse/catalog/lost-leases.js',
    edits: [["const fails = look.answer !== 'answers' && !look.isBlind;", 'const fails = false;']],
  },
  {
    name: 'a wave of lost leases is not noticed',
    file: 'synapse/catalog/lost-leases.js',
    edits: [['#isWave(service) {', '#isWave(service) {\n        return false;']],
  },
  {
    name: 'a suspect stays although another service has its address',
    file: 'synapse/catalog/lost-leases.js',
    edits: [
      [
        '#compareOne(service, { instance, lease, key }, announced) {',
        '#compareOne(service, { instance, lease, key }, announced) {\n        return;',
      ],
    ],
  },
  {
    name: 'nerve takes no announcement back whose lease was lost',
    file: 'common/etcd/keys/next-step.js',
    edits: [["if (isAbsent && !(owesTombstone(key) && withdrawal === 'lasting'))", 'if (isAbsent)']],
  },
  {
    name: 'workers on their way out do not count in a proof',
    file: 'synapse/fleet/judge.js',
    edits: [
      [
        '!isOut(worker.rotation, level) && worker.mayChoose)',
        "!isOut(worker.rotation, level) && worker.role === 'in charge')",
      ],
    ],
  },
  {
    name: 'haproxy.cfg does not count in a proof',
    file: 'synapse/fleet/judge.js',
    edits: [["const isInFile = !isOut(server.inFile ?? 'open', level);", 'const isInFile = false;']],
  },
  {
    name: 'open connections do not count in a proof',
    file: 'synapse/fleet/judge.js',
    edits: [['if (connections + queued === 0)', 'if (true)']],
  },
  {
    name: 'a proxy that has not acknowledged is not waited for',
    file: 'common/fleet/ask-state.js',
    edits: [['if (member.present && !member.fulfilled)', 'if (false)']],
  },
  {
    name: 'a request is judged before the watch has shown what it is about',
    file: 'synapse/fleet/acknowledger.js',
    edits: [
      ['const shown = open.filter(({ isShown }) => isShown);', 'const shown = open;'],
      ['if (!request.isShown)', 'if (false)'],
    ],
  },
  {
    name: 'services count as applied whatever HAProxy has',
    file: 'synapse/fleet-run.js',
    edits: [['applied()?.get(service) === catalog.entry(service)?.state', 'true']],
  },
  {
    name: 'synapse does not know its own drain after a restart',
    file: 'synapse/haproxy/runtime/draft.js',
    edits: [['if (!dynamic || !isOurWeight)', 'if (true)']],
  },
];
