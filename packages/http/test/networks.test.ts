import t from 'tap'
import { isNetwork, toBlockList } from '../src/networks.ts'

t.test('addresses and CIDR ranges are valid networks', async (t) => {
  for (const text of ['10.0.0.0/8', '10.1.2.3', '::/0', '2001:db8::1', '0.0.0.0/0', '::ffff:10.0.0.1/128']) {
    t.ok(isNetwork(text), text)
  }
  for (const text of [
    '',
    '10.0.0.0/33',
    '::/129',
    '10.0.0',
    'a',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    'fe80::1%eth0',
  ]) {
    t.notOk(isNetwork(text), text)
  }
})

t.test('a block list of networks contains their addresses only', async (t) => {
  const list = toBlockList(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'])
  t.ok(list.check('10.1.2.3', 'ipv4'))
  t.ok(list.check('192.0.2.7', 'ipv4'))
  t.ok(list.check('2001:db8:1::7', 'ipv6'))
  t.notOk(list.check('192.0.2.8', 'ipv4'))
  t.notOk(list.check('2001:db9::7', 'ipv6'))
})
