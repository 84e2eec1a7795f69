import assert from 'node:assert/strict';
import { it } from 'node:test';
import { optionalPackage } from '../../common/plugin.ts';

it('gives a package that is there', async () => {
  const path = await optionalPackage('node:path', () => import('node:path'));
  assert.equal(path().basename('/a/b'), 'b');
});

it('says what to install, but only to who needs it', async () => {
  const name = 'no-such-package';
  const missing = await optionalPackage(name, () => import(name));
  assert.throws(missing, {
    message: 'needs the npm package no-such-package: it is not installed; npm install no-such-package',
  });
});

it('says what is wrong with a package that is there and does not load', async () => {
  const broken = await optionalPackage('broken', () => Promise.reject(new Error('needs Node 99')));
  assert.throws(broken, { message: 'needs the npm package broken: needs Node 99; npm install broken' });
});
