import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../../../common/daemon/log.ts';
import { thisHost } from '../../../../common/host.ts';
import { Reloader, type ReloaderDeps } from '../../../../synapse/haproxy/reload/reloader.ts';
import { configurationReason, serverReason, textsOf } from '../../../../synapse/haproxy/spec/reload-reason.ts';
import { readinessReason } from '../../../../synapse/haproxy/status.ts';
import { plainConfig } from '../../../support/haproxy/haproxy-text.ts';
import { stopClock } from '../../../support/stopped-clock.ts';

/** A reloader beside one HAProxy that runs `generation`, where `accepted` is in the file. */
function openReloader({
  generation,
  accepted,
  host = thisHost,
}: {
  readonly generation: string;
  readonly accepted: string;
  readonly host?: ReloaderDeps['host'];
}) {
  let loads = 0;
  const deps: ReloaderDeps = {
    log: silentLog,
    emit: () => {},
    host,
    processes: [
      {
        path: '/run/haproxy.sock',
        inSync: true,
        generation,
        workersSeen: 1,
        reloadReasons: new Map([['api', [serverReason('a server changed')]]]),
        refresh: async () => null,
        release() {},
      },
    ],
    writer: {
      accepted,
      helped: (reasons) => reasons,
      reason: null,
      quarantined: {},
      loaded() {
        loads += 1;
      },
      async rollBack() {},
    },
    file: { text: '', async rewrite() {} },
  };
  const config = plainConfig({ config_file_path: '/etc/haproxy/haproxy.cfg', reload_command: 'true' });
  return { reloader: new Reloader(config, deps), loads: () => loads };
}

describe('a reload that hangs', () => {
  it('is a reason why HAProxy is not ready once it has taken longer than 10 s, until it ends', async () => {
    const clock = stopClock();
    try {
      // As `haproxy` does in a reload while the DNS does not answer for a host name in its file.
      const exec = () => new Promise<never>(() => {});
      const { reloader } = openReloader({ generation: 'same', accepted: 'same', host: { ...thisHost, exec } });
      const end = new AbortController();
      void reloader.reload(end.signal);
      const ready = () => readinessReason({ ...wellStatus, lastError: reloader.reason });
      clock.now = 10_000;
      assert.equal(ready(), null);
      clock.now = 10_001;
      assert.match(ready() ?? '', /reloading HAProxy does not work: a reload has been under way for more than 10 s/);
      assert.match(ready() ?? '', /may wait for the DNS/);
    } finally {
      clock.restore();
    }
  });
});

/** HAProxy runs the configuration that is wanted. */
const wellStatus = {
  rejected: null,
  generation: 'same',
  wantedGeneration: 'same',
  sockets: [{ path: '/s', connected: true, version: '3.2', workerPid: 1, generation: 'same', lastError: null }],
};

describe('the reasons for a reload of HAProxy', () => {
  it('can be read without any effect; only an observation tells that HAProxy has loaded the configuration', () => {
    const { reloader, loads } = openReloader({ generation: 'new', accepted: 'new' });
    for (let reading = 0; reading < 1_000; reading++) {
      assert.deepEqual(textsOf(reloader.reasons), ['a server changed']);
    }
    assert.equal(loads(), 0);
    assert.equal(reloader.observe(), 0);
    assert.equal(loads(), 1);
  });

  it('are the changes of the specs while HAProxy runs another configuration', () => {
    const { reloader, loads } = openReloader({ generation: 'old', accepted: 'new' });
    assert.deepEqual(textsOf(reloader.reasons), ['HAProxy runs another configuration']);
    for (let round = 0; round < 2; round++) reloader.specChanged(configurationReason('service api is new'));
    reloader.specChanged(configurationReason('service web was removed'));
    assert.deepEqual(textsOf(reloader.reasons), ['service api is new', 'service web was removed']);
    assert.equal(reloader.observe(), 0);
    assert.equal(loads(), 0);
  });

  it('count as a change of the configuration although the records of the same service want the same', () => {
    const { reloader } = openReloader({ generation: 'old', accepted: 'new' });
    const text = 'service api has other options';
    reloader.specChanged(configurationReason(text, { service: 'api' }));
    assert.deepEqual(reloader.reasons, [{ kind: 'configuration', text, service: 'api' }]);
    reloader.specChanged(configurationReason(text));
    assert.deepEqual(reloader.reasons, [{ kind: 'configuration', text }]);
    reloader.specChanged(configurationReason(text, { service: 'api' }));
    assert.deepEqual(reloader.reasons, [{ kind: 'configuration', text }]);
  });
});
