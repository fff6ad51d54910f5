import t from 'tap'
import type { TagRule } from '../../src/immutability/tag-rule.ts'
import { findProtection, findRuleFault } from '../../src/immutability/tag-rule.ts'

const releases = {
  namespace: 'team',
  name: 'releases',
  repositories: 'team/*',
  tags: 'v*',
  except: ['v0*', 'vnext'],
}
const everything = {
  namespace: 'team/app',
  name: 'all',
  repositories: 'team/app',
  tags: '*',
  except: ['latest'],
}
const rules = [releases, everything]

t.test(
  'a tag is immutable if a rule covers its repository, matches it, and makes no exception',
  async (t) => {
    const cases: readonly (readonly [repository: string, tag: string, rule: string | undefined])[] = [
      ['team/web', 'v1', 'releases'],
      ['team/a/b', 'v1.2-rc.3', 'releases'],
      ['team/web', '1', undefined],
      ['team/web', 'v0.9', undefined],
      ['team/web', 'vnext', undefined],
      ['team/web', 'vnext2', 'releases'],
      ['team/app', 'v1', 'releases'],
      ['team/app', 'v0.9', 'all'],
      ['team/app', 'latest', undefined],
      ['team/app/x', 'v0.9', undefined],
      ['teams/web', 'v1', undefined],
      ['team', 'v1', undefined],
    ]
    for (const [repository, tag, rule] of cases) {
      const protectedTag = findProtection(rules, repository, tag)
      t.equal(protectedTag?.rule, rule, `${repository}:${tag}`)
      if (rule !== undefined) t.equal(protectedTag?.tag, tag)
    }
    t.strictSame(findProtection(rules, 'team/web', 'v1'), { tag: 'v1', rule: 'releases', namespace: 'team' })
  },
)

t.test('a rule must lie within its namespace, and have a name of its own', async (t) => {
  const rule = (name: string, repositories: string): TagRule => ({ name, repositories, tags: '*' })
  const cases: readonly (readonly [
    namespace: string,
    rules: readonly TagRule[],
    field: string | undefined,
  ])[] = [
    ['team', [], undefined],
    ['team', [rule('a', 'team/*'), rule('b', 'team/app'), rule('c', 'team/app/*')], undefined],
    ['team/app', [rule('a', 'team/app')], undefined],
    ['team', [rule('a', 'team/*'), rule('a', 'team/app')], 'rules.1.name'],
    ['team', [rule('a', '*')], 'rules.0.repositories'],
    ['team', [rule('a', 'teams/*')], 'rules.0.repositories'],
    ['team', [rule('a', 'team/*'), rule('b', 'other/app')], 'rules.1.repositories'],
    ['team/app', [rule('a', 'team/*')], 'rules.0.repositories'],
  ]
  for (const [namespace, given, field] of cases) {
    t.equal(findRuleFault(namespace, given)?.field, field, JSON.stringify(given))
  }
})
