import t from 'tap'
import { isPublicAddress } from '../../src/federation/public-address.ts'

t.test('addresses of the public internet are public', async (t) => {
  for (const address of ['140.82.121.3', '8.8.8.8', '172.15.0.1', '172.32.0.1', '2606:4700::1111'])
    t.equal(isPublicAddress(address), true, address)
})

t.test('private, loopback, link-local and otherwise special addresses are not public', async (t) => {
  for (const address of [
    '127.0.0.1',
    '127.255.0.1',
    '0.0.0.0',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '192.0.0.1',
    '192.0.2.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'fc00::1',
    'fd12::1',
    'ff02::1',
    'fec0::1',
    '2001:db8::1',
    // IPv4 addresses in IPv6 addresses.
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001::7f00:1',
    '',
    'localhost',
    '1',
    '0x7f000001',
    '127.1',
  ]) {
    t.equal(isPublicAddress(address), false, address)
  }
})
