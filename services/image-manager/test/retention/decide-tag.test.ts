import t from 'tap'
import type { TagDecision } from '../../src/retention/decide-tag.ts'
import { decideTag } from '../../src/retention/decide-tag.ts'
import { prepareRules } from '../../src/retention/prepare-rules.ts'
import type { Keep, RetentionRule } from '../../src/retention/retention-rule.ts'

const NOW = Date.parse('2026-12-01T00:00:00Z')
const REPOSITORY = 'team/app'
const daysAgo = (days: number) => new Date(NOW - days * 86_400_000)

const rule = (keep: Keep, given: Partial<RetentionRule> = {}): RetentionRule => ({
  name: 'rule',
  repositories: 'team/*',
  tags: '*',
  keep,
  ...given,
})

interface Case {
  readonly why: string
  readonly tag?: string
  readonly rules: readonly RetentionRule[]
  /** In days before now. */
  readonly pushed?: number
  readonly pulled?: number
  readonly last?: readonly string[]
  readonly immutable?: boolean
  readonly subject?: string
  /** The reason that keeps the tag, with its rule; or another outcome. */
  readonly is: string
}

const CASES: readonly Case[] = [
  { why: 'without a rule', rules: [], is: 'uncovered' },
  {
    why: 'a rule for another repository',
    rules: [rule({ last: 1 }, { repositories: 'team/other' })],
    is: 'uncovered',
  },
  { why: 'a rule for other tags', rules: [rule({ last: 1 }, { tags: 'dev-*' })], is: 'uncovered' },
  { why: 'an exception', rules: [rule({ last: 1 }, { except: ['v*'] })], is: 'uncovered' },
  {
    why: 'a rule without tags',
    rules: [{ ...rule({}), tags: undefined, untaggedAfterDays: 1 } as never],
    is: 'uncovered',
  },
  { why: 'no field of keep keeps it', rules: [rule({ last: 1 })], is: 'deleted rule' },
  { why: 'among the last ones', rules: [rule({ last: 1 })], last: ['v1.0.0'], is: 'last rule' },
  { why: 'pushed in time', rules: [rule({ pushedWithinDays: 7 })], pushed: 7, is: 'pushedWithinDays rule' },
  { why: 'pushed too long ago', rules: [rule({ pushedWithinDays: 7 })], pushed: 7.01, is: 'deleted rule' },
  {
    why: 'pulled in time',
    rules: [rule({ pulledWithinDays: 0.5 })],
    pulled: 0.4,
    is: 'pulledWithinDays rule',
  },
  { why: 'pulled too long ago', rules: [rule({ pulledWithinDays: 0.5 })], pulled: 0.6, is: 'deleted rule' },
  { why: 'never pulled', rules: [rule({ pulledWithinDays: 36_500 })], is: 'deleted rule' },
  { why: 'a version in the range', rules: [rule({ semver: '>=1' })], is: 'semver rule' },
  { why: 'v before a version', rules: [rule({ semver: '^1.2' })], tag: 'v1.3.0', is: 'semver rule' },
  { why: 'a version outside the range', rules: [rule({ semver: '>=2' })], is: 'deleted rule' },
  {
    why: 'a version before a release',
    rules: [rule({ semver: '>=1' })],
    tag: '2.0.0-rc.1',
    is: 'deleted rule',
  },
  { why: 'an incomplete version', rules: [rule({ semver: '*' })], tag: '1.2', is: 'deleted rule' },
  { why: 'no version', rules: [rule({ semver: '*' })], tag: 'latest', is: 'deleted rule' },
  { why: 'a match', rules: [rule({ matching: 'v[0-9.]+' })], is: 'matching rule' },
  { why: 'a match of a part only', rules: [rule({ matching: 'v[0-9]' })], is: 'deleted rule' },
  {
    why: 'a tag of a signature whose image exists',
    rules: [rule({ last: 1 })],
    subject: 'image',
    is: 'subject image',
  },
  { why: 'immutable', rules: [rule({ last: 1 })], immutable: true, is: 'immutable protect' },
  { why: 'immutable without a rule of retention', rules: [], immutable: true, is: 'uncovered' },
  {
    why: 'another rule keeps it',
    rules: [rule({ last: 1 }), rule({ semver: '1.x' }, { name: 'releases', tags: 'v*' })],
    is: 'semver releases',
  },
  {
    why: 'a rule that does not cover it would keep it',
    rules: [rule({ last: 1 }), rule({ semver: '1.x' }, { name: 'releases', tags: 'r*' })],
    is: 'deleted rule',
  },
  {
    why: 'two rules cover it and none keeps it',
    rules: [rule({ last: 1 }, { name: 'one' }), rule({ pushedWithinDays: 1 }, { name: 'two' })],
    is: 'deleted one',
  },
  {
    why: 'several fields keep it',
    rules: [rule({ last: 1, pushedWithinDays: 7, semver: '*' })],
    pushed: 1,
    is: 'pushedWithinDays rule',
  },
]

function describe(decision: TagDecision): string {
  switch (decision.outcome) {
    case 'kept':
      return 'by' in decision ? `${decision.reason} ${decision.by}` : `${decision.reason} ${decision.rule}`
    case 'deleted':
      return `deleted ${decision.rule}`
    case 'uncovered':
      return 'uncovered'
  }
}

for (const {
  why,
  tag = 'v1.0.0',
  rules,
  pushed = 100,
  pulled,
  last = [],
  immutable = false,
  subject = null,
  is,
} of CASES) {
  t.test(`the decision about a tag: ${why}`, async (t) => {
    const named = rules.map((one) => ({ ...one, namespace: 'team' }))
    const decision = decideTag(
      {
        name: tag,
        pushedAt: daysAgo(pushed),
        pulledAt: pulled === undefined ? null : daysAgo(pulled),
        subject,
      },
      {
        rules: prepareRules(named, REPOSITORY).tagRules,
        protect: (tag) => (immutable ? { tag, rule: 'protect', namespace: 'team' } : undefined),
        isAmongLast: (_, tag) => last.includes(tag),
        now: NOW,
      },
    )
    t.equal(describe(decision), is)
  })
}
