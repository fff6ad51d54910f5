import t from 'tap'
import { parseConditions } from '../../src/access/conditions.ts'

t.test('equal conditions have one stored form', async (t) => {
  t.strictSame(parseConditions({ networks: ['192.0.2.0/24', '10.0.0.0/8', '10.0.0.0/8'], tags: 'v*' }), {
    conditions: { networks: ['10.0.0.0/8', '192.0.2.0/24'], tags: 'v*' },
  })
  t.strictSame(parseConditions({ notAfter: '2027-06-30T02:00:00+02:00' }), {
    conditions: { notAfter: '2027-06-30T00:00:00.000Z' },
  })
  t.strictSame(parseConditions({}), { conditions: undefined })
  t.strictSame(parseConditions(undefined), { conditions: undefined })
})

t.test('a condition that cannot be met is refused, and its field is named', async (t) => {
  const faultOf = (given: object) => parseConditions(given)
  t.match(faultOf({ networks: ['10.0.0.0/8', 'intranet'] }), { fault: { field: 'conditions.networks' } })
  t.match(faultOf({ networks: ['fe80::1%eth0'] }), { fault: { field: 'conditions.networks' } })
  t.match(faultOf({ notAfter: '2027-13-01T00:00:00Z' }), { fault: { field: 'conditions.notAfter' } })
  t.match(faultOf({ notBefore: '2027-06-30T00:00:00Z', notAfter: '2027-06-30T00:00:00Z' }), {
    fault: { field: 'conditions.notAfter', detail: 'must be after notBefore' },
  })
})
