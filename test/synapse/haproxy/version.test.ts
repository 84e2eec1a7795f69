import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { thisHost } from '../../../common/host.ts';
import { decideByVersion, suffixFor } from '../../../synapse/haproxy/version.ts';
import { testHaproxy } from '../../support/haproxy/haproxy.ts';
import { plainConfig } from '../../support/haproxy/haproxy-text.ts';
import { haproxyVersions } from '../../support/haproxy/versions.ts';

describe('names of frontends', () => {
  for (const [version, suffix] of [
    ['2.6.12-1+deb12u4', ''],
    ['3.2.26-1', ''],
    ['3.3-dev1', '.in'],
    ['3.4.7-1', '.in'],
    ['4.0.0', '.in'],
    ['unknown', '.in'],
    [undefined, '.in'],
  ] as const) {
    it(`get ${JSON.stringify(suffix)} after the service's for HAProxy ${version}`, () => {
      assert.equal(suffixFor(version), suffix);
    });
  }

  it('follow the program that is installed, whatever its version', async () => {
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

  it('differ from those of backends where no HAProxy can be asked, and are as the user says', async () => {
    const config = plainConfig({ haproxy_path: '/nowhere/haproxy', do_socket: true, socket_file_path: '/nowhere/s' });
    const signal = AbortSignal.timeout(10_000);
    assert.equal((await decideByVersion(config, thisHost, signal)).frontend_suffix, '.in');
    assert.equal((await decideByVersion({ ...config, frontend_suffix: '' }, thisHost, signal)).frontend_suffix, '');
  });
});
