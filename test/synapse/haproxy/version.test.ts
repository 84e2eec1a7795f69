import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { thisHost } from '../../../common/host.ts';
import { decideByVersion, suffixFor } from '../../../synapse/haproxy/version.ts';
import { testHaproxy } from '../../support/haproxy/haproxy.ts';
import { plainConfig } from '../../support/haproxy/haproxy-text.ts';
import { haproxyVersions } from '../../support/haproxy/versions.ts';

describe('the names of frontends', () => {
  for (const [version, suffix] of [
    ['2.6.12-1+deb12u4', ''],
    ['3.2.26-1', ''],
    ['3.3-dev1', '.in'],
    ['3.4.7-1', '.in'],
    ['4.0.0', '.in'],
    ['unknown', '.in'],
    [undefined, '.in'],
  ] as const) {
    it(`end in ${JSON.stringify(suffix)} for HAProxy ${version}`, () => {
      assert.equal(suffixFor(version), suffix);
    });
  }

  it('depend on the version of the installed program', async () => {
    for (const version of haproxyVersions) {
      const haproxy = await testHaproxy(version);
      const config = plainConfig({ haproxy_path: haproxy.program });
      assert.equal(
        (await decideByVersion(config, thisHost, AbortSignal.timeout(10_000))).frontend_suffix,
        suffixFor(version),
      );
      await haproxy.close();
    }
  });

  it('differ from the names of backends if no HAProxy tells its version, unless the user sets the suffix', async () => {
    const config = plainConfig({ haproxy_path: '/nowhere/haproxy', do_socket: true, socket_file_path: '/nowhere/s' });
    const signal = AbortSignal.timeout(10_000);
    assert.equal((await decideByVersion(config, thisHost, signal)).frontend_suffix, '.in');
    assert.equal((await decideByVersion({ ...config, frontend_suffix: '' }, thisHost, signal)).frontend_suffix, '');
  });
});
