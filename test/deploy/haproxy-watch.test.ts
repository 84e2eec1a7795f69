import assert from 'node:assert/strict';
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { root } from '../support/repository.ts';
import { startServer } from '../support/servers/server.ts';
import { tempFolder } from '../support/temp-folder.ts';

const script = join(root, 'deploy/haproxy/haproxy-watch');

/** Fakes, because the disk of the container in which the real programs are tested does not get full. */
const programs = {
  // Ends with the script, however that ends.
  haproxy: `case " $* " in *" -c "*) exit 0 ;; esac
trap 'exit 0' TERM
while kill -0 $PPID 2>/dev/null; do sleep 0.05 & wait $!; done`,
  'haproxy-cli': 'echo Success=1',
  // The disk is full for one more copy of what was accepted, as long as there is the file FULL.
  cp: `case $2 in *.last) if [ -e "$FULL" ]; then echo 'No space left on device' >&2; exit 1; fi ;; esac
PATH=\${PATH#*:} exec cp "$@"`,
};

describe('haproxy-watch', () => {
  it('goes on and keeps a change when the disk is full', async (t) => {
    const folder = await tempFolder(t);
    const below = (name: string): string => join(folder, name);
    await mkdir(below('bin'));
    for (const [name, text] of Object.entries(programs)) {
      await writeFile(below(`bin/${name}`), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    }
    await writeFile(below('haproxy.cfg'), 'one');
    const accepted = (text: string) =>
      eventually(async () => assert.equal(await readFile(below('accepted.cfg'), 'utf8'), text));
    const server = await startServer(['/bin/sh', script], {
      env: {
        PATH: `${below('bin')}:${process.env.PATH}`,
        HAPROXY_CONFIG: below('haproxy.cfg'),
        HAPROXY_ACCEPTED: below('accepted.cfg'),
        HAPROXY_WATCH_INTERVAL: '0.05',
        FULL: below('full'),
      },
      ready: () => access(below('accepted.cfg')),
    });
    t.after(() => server.stop());
    await accepted('one');
    await writeFile(below('full'), '');
    await writeFile(below('haproxy.cfg'), 'two');
    await eventually(() => assert.match(server.output(), /No space left/));
    await rm(below('full'));
    await accepted('two');
    process.kill(server.pid, 'SIGTERM');
    await server.ended;
  });
});
