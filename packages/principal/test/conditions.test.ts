import * as fc from 'fast-check'
import t from 'tap'
import { conditionFault, isInNetworks, intersectNetworks } from '../src/conditions.ts'

const NOW = Date.parse('2027-03-01T12:00:00Z')

t.test('conditionFault returns the condition that does not hold', async (t) => {
  const context = { address: '192.0.2.7', now: NOW }
  const faultOf = (conditions: object) => conditionFault(conditions, context)?.condition
  t.equal(faultOf({}), undefined)
  t.equal(faultOf({ tags: 'v*' }), undefined, 'a tag pattern concerns pushes only')
  t.equal(faultOf({ networks: ['192.0.2.0/24'] }), undefined)
  t.equal(faultOf({ networks: ['198.51.100.0/24', '192.0.2.7'] }), undefined, 'one of the networks is enough')
  t.equal(faultOf({ networks: ['10.0.0.0/8'] }), 'networks')
  t.equal(faultOf({ notBefore: '2027-03-01T12:00:00.000Z' }), undefined, 'it begins at that time')
  t.equal(faultOf({ notBefore: '2027-03-01T12:00:00.001Z' }), 'notBefore')
  t.equal(faultOf({ notAfter: '2027-03-01T12:00:00.001Z' }), undefined)
  t.equal(faultOf({ notAfter: '2027-03-01T12:00:00.000Z' }), 'notAfter', 'it has ended at that time')
  t.equal(faultOf({ notAfter: '2027-03-01T14:00:00+02:00' }), 'notAfter', 'a time in another zone')
  t.match(conditionFault({ networks: ['10.0.0.0/8'] }, context)?.detail, /10\.0\.0\.0\/8/)
})

t.test('a client whose address is not known is in no network', async (t) => {
  t.equal(
    conditionFault({ networks: ['0.0.0.0/0'] }, { address: undefined, now: NOW })?.condition,
    'networks',
  )
  t.notOk(isInNetworks(['0.0.0.0/0', '::/0'], 'localhost'))
})

t.test('IPv4 and IPv6 addresses are compared with networks', async (t) => {
  t.ok(isInNetworks(['2001:db8::/32'], '2001:db8:1::7'))
  t.notOk(isInNetworks(['2001:db8::/32'], '2001:db9::7'))
  t.ok(isInNetworks(['10.0.0.0/8'], '::ffff:10.1.2.3'), 'an IPv4-mapped address is its IPv4 address')
  t.ok(isInNetworks(['fe80::/10'], 'fe80::1%eth0'), 'the zone does not matter')
  t.notOk(isInNetworks(['2001:db8::/32'], '10.0.0.1'))
})

t.test('the intersection of two lists of networks has the addresses that are in both', async (t) => {
  const cases = [
    [['10.0.0.0/8'], ['10.1.0.0/16'], ['10.1.0.0/16']],
    [
      ['10.1.0.0/16', '192.0.2.7'],
      ['10.0.0.0/8', '192.0.2.0/24'],
      ['10.1.0.0/16', '192.0.2.7'],
    ],
    [['10.0.0.0/8'], ['192.0.2.0/24'], []],
    [['::/0'], ['10.0.0.0/8', '2001:db8::/32'], ['2001:db8::/32']],
    [['10.1.2.3'], ['10.1.2.3/32'], ['10.1.2.3']],
  ] as const
  for (const [ones, others, both] of cases) {
    t.strictSame(intersectNetworks(ones, others), both, `${ones} and ${others}`)
    t.strictSame(intersectNetworks(others, ones), both, `${others} and ${ones}`)
  }
  const octet = fc.constantFrom(0, 1, 10, 128)
  const address = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'))
  const network = fc.tuple(address, fc.constantFrom(0, 1, 8, 9, 24, 32)).map((parts) => parts.join('/'))
  const networks = fc.array(network, { minLength: 1, maxLength: 3 })
  fc.assert(
    fc.property(networks, networks, address, (ones, others, address) => {
      const isInBoth = isInNetworks(ones, address) && isInNetworks(others, address)
      return isInNetworks(intersectNetworks(ones, others), address) === isInBoth
    }),
    { numRuns: 5000 },
  )
})
