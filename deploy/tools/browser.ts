import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { unpackPackages } from './debian/programs.ts';

/** What headless Chromium needs to run as root, and to leave the network beyond this machine alone. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A real headless Chromium, unpacked from Debian's packages, and how to end it without a trace. */
export async function openBrowser(): Promise<{ readonly browser: Browser; close(): Promise<void> }> {
  const root = await unpackPackages('bookworm', ['chromium', 'chromium-common', 'fonts-dejavu-core']);
  const folder = await mkdtemp(join(tmpdir(), 'smartstack-browser-'));
  // Fonts of its own too: the machine may have none.
  const fonts = join(folder, 'fonts.conf');
  await mkdir(join(folder, 'cache'));
  const dirs = `<dir>${join(root, 'usr/share/fonts')}</dir><cachedir>${join(folder, 'cache')}</cachedir>`;
  await writeFile(fonts, `<?xml version="1.0"?><fontconfig>${dirs}</fontconfig>\n`);
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const browser = await chromium.launch({
    executablePath: join(root, 'usr/lib/chromium/chromium'),
    args: flags,
    env: {
      ...process.env,
      FONTCONFIG_FILE: fonts,
      // libpulse names this folder by its place in an installed system.
      LD_LIBRARY_PATH: join(root, `usr/lib/${machine}-linux-gnu/pulseaudio`),
      DBUS_SESSION_BUS_ADDRESS: 'disabled:',
    },
  });
  return {
    browser,
    async close() {
      await browser.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
