import t from 'tap'
import type { RetentionRule } from '../../src/retention/retention-rule.ts'
import { findRetentionFault } from '../../src/retention/retention-rule.ts'

const RULE: RetentionRule = { name: 'a', repositories: 'team/*', tags: '*', keep: { last: 1 } }
const untagged = { name: 'u', repositories: 'team/*', untaggedAfterDays: 7 }

t.test('valid rules of retention have no fault', async (t) => {
  t.equal(findRetentionFault('team', []), undefined)
  t.equal(
    findRetentionFault('team', [RULE, untagged, { ...RULE, name: 'b', untaggedAfterDays: 1 }]),
    undefined,
  )
  const both = { semver: '>=1.0.0 <2 || 3.x', matching: '(release|v)-[0-9]{1,4}' }
  t.equal(findRetentionFault('team', [{ ...RULE, keep: both }]), undefined)
})

const FAULTS: readonly (readonly [RetentionRule, field: string, detail: RegExp])[] = [
  [
    { ...RULE, repositories: 'other/*' },
    'repositories',
    /must be a pattern within team, such as team\/\*, not other/,
  ],
  [{ name: 'a', repositories: 'team/*' }, 'tags', /must be given/],
  [{ ...untagged, keep: { last: 1 } }, 'keep', /must be omitted in a rule without tags/],
  [{ ...untagged, except: ['a'] }, 'except', /must be omitted in a rule without tags/],
  [{ name: 'a', repositories: 'team/*', tags: '*' }, 'keep', /must keep some tags/],
  [{ ...RULE, keep: {} }, 'keep', /must keep some tags/],
  [{ ...RULE, keep: { semver: 'newest' } }, 'keep.semver', /must be a range of versions .* not newest/],
  [{ ...RULE, keep: { semver: ' ' } }, 'keep.semver', /must be a range/],
  [
    { ...RULE, keep: { matching: 'v(' } },
    'keep.matching',
    /must be a regular expression of RE2 .*missing closing/,
  ],
  [{ ...RULE, keep: { matching: String.raw`(a)\1` } }, 'keep.matching', /invalid escape sequence/],
  [{ ...RULE, keep: { matching: '(?<!a)b' } }, 'keep.matching', /RE2/],
  [{ ...RULE, keep: { matching: '(x{100}){9}' } }, 'keep.matching', /must be a simpler regular expression/],
  [{ ...RULE, keep: { matching: '(x{1000}){1000}' } }, 'keep.matching', /RE2/],
]

for (const [rule, field, detail] of FAULTS)
  t.test(`the fault of a rule is found: ${field} ${JSON.stringify(rule.keep ?? null)}`, async (t) => {
    const ok = { ...RULE, name: 'first' }
    t.match(findRetentionFault('team', [ok, rule]), { field: `rules.1.${field}`, detail })
  })

t.test('the names of retention rules are unique in a namespace', async (t) => {
  t.match(findRetentionFault('team', [RULE, RULE]), { field: 'rules.1.name', detail: /must be unique/ })
})
