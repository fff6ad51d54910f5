import t from 'tap'
import { decideManifest } from '../../src/retention/decide-manifest.ts'
import { prepareRules } from '../../src/retention/prepare-rules.ts'

const NOW = Date.parse('2026-12-01T00:00:00Z')
const rules = [7, 30, 14].map((untaggedAfterDays) => ({
  name: `r${untaggedAfterDays}`,
  namespace: 'team',
  repositories: 'team/*',
  untaggedAfterDays,
}))
const { untaggedRule } = prepareRules(rules, 'team/app')
const manifest = { digest: 'sha256:1', index: null, subject: null }
const daysAgo = (days: number) => new Date(NOW - days * 86_400_000)

t.test('a manifest without a tag stays for the longest time of all rules', async (t) => {
  t.match(decideManifest({ ...manifest, usedAt: daysAgo(29) }, untaggedRule, NOW), {
    outcome: 'kept',
    reason: 'untaggedAfterDays',
    rule: 'r30',
  })
  t.match(decideManifest({ ...manifest, usedAt: daysAgo(30.1) }, untaggedRule, NOW), {
    outcome: 'deleted',
    rule: 'r30',
  })
})

t.test('a manifest that an image index lists or whose subject exists stays, however old it is', async (t) => {
  const old = { ...manifest, usedAt: daysAgo(1000) }
  const by = 'sha256:2'
  t.strictSame(decideManifest({ ...old, index: by }, untaggedRule, NOW), {
    outcome: 'kept',
    reason: 'index',
    by,
  })
  t.strictSame(decideManifest({ ...old, subject: by }, untaggedRule, NOW), {
    outcome: 'kept',
    reason: 'subject',
    by,
  })
})

t.test('without a rule about them, manifests without a tag stay', async (t) => {
  const { untaggedRule } = prepareRules(rules, 'other/app')
  const decision = decideManifest({ ...manifest, usedAt: daysAgo(1000) }, untaggedRule, NOW)
  t.strictSame(decision, { outcome: 'uncovered' })
})
