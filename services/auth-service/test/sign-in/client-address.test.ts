import t from 'tap'
import { clientNetwork } from '../../src/sign-in/client-address.ts'

const CASES = [
  ['192.0.2.1', '192.0.2.1', 'an IPv4 address is unchanged'],
  ['::ffff:192.0.2.1', '192.0.2.1', 'an IPv4-mapped address is its IPv4 address'],
  ['::ffff:c000:201', '192.0.2.1', 'an IPv4-mapped address in hexadecimal is the same'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64', 'an IPv6 address is its /64 network'],
  ['2001:DB8:1:2::9', '2001:db8:1:2::/64', 'the spelling does not matter'],
  ['2001:db8:1:3::9', '2001:db8:1:3::/64', 'the next network is another client'],
  ['::1', '0:0:0:0::/64', 'the loopback address has a network too'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64', 'a zone is left out'],
  ['unix:', 'unix:', 'a string that is not an address'],
] as const

t.test('failed sign-ins are counted by IPv4 address or IPv6 /64 network', async (t) => {
  for (const [address, network, why] of CASES) t.equal(clientNetwork(address), network, why)
  t.equal(clientNetwork('x'.repeat(10_000)).length, 64, 'a long string is cut')
})
