import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { unpackPackages } from './debian/programs.ts';

/** Flags with which headless Chromium runs as root and does not use the network beyond this machine. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts a headless Chromium from Debian's packages; `close` ends it and removes its files. */
export async function openBrowser(): Promise<{ readonly browser: Browser; close(): Promise<void> }> {
  const root = await unpackPackages('bookworm', ['chromium', 'chromium-common', 'fonts-dejavu-core']);
  const folder = await mkdtemp(join(tmpdir(), 'smartstack-browser-'));
  // With its own fonts, because the machine may have none.
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
      // libpulse looks for this folder at its path in an installed system.
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
