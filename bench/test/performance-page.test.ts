import t from 'tap'
import type { Measured } from '../performance-page.ts'
import { updatePage } from '../performance-page.ts'
import type { Table } from '../table.ts'
import { formatRatio, toGoal } from '../table.ts'

const ORDER = ['reads', 'growth', 'audit']

function measured(name: string, table: Partial<Table> = {}, commit = 'abc1234'): Measured {
  const empty = { title: `${name}: what it measures`, columns: ['', 'rate'], rows: [], faults: [] }
  return {
    name,
    table: { ...empty, ...table },
    command: `npm run bench -- ${name}`,
    date: '2026-11-29',
    commit,
    machine: 'On 2 cores.',
  }
}

const goalOf = (name: string, ratio: number) =>
  toGoal({ case: name, values: 'ours: 10/s', failed: 0 }, { atLeast: 2 }, ratio, formatRatio)

t.test('a run replaces the sections and goals of its measurements and keeps all others', async (t) => {
  const long = measured('growth', { rows: [['a million', '7/s']], goals: [goalOf('a page', 3)] }, 'old1111')
  const short = measured('reads', { rows: [['a blob', '9/s']], goals: [goalOf('a blob', 1)] })
  const first = updatePage('', [long], ORDER)
  const both = updatePage(first, [short], ORDER)
  t.match(both, '| a million | 7/s |')
  t.match(
    both,
    '| a page | ≥ 2.00 × | 3.00 × | met | ours: 10/s | 0 | [growth](#growth), 2026-11-29, old1111 |',
  )
  t.match(
    both,
    '| a blob | ≥ 2.00 × | 1.00 × | **missed** | ours: 10/s | 0 | [reads](#reads), 2026-11-29, abc1234 |',
  )
  t.ok(
    both.indexOf('| a blob | ≥') < both.indexOf('| a page | ≥'),
    'goals have the order of the measurements',
  )
  t.ok(both.indexOf('## reads') < both.indexOf('## growth'), 'sections, too')

  const again = updatePage(both, [measured('reads', { rows: [['a blob', '8/s']] })], ORDER)
  t.match(again, '| a blob | 8/s |')
  t.notMatch(again, '9/s')
  t.notMatch(again, '| a blob | ≥', 'a measurement without goals has no rows among the goals')
  t.match(again, '| a page | ≥')
  t.equal(updatePage(both, [], ORDER), both, 'no result changes nothing')
})

t.test('a section names its command, commit and faults, in lines of at most 120 characters', async (t) => {
  const title = `audit: ${'many words '.repeat(20)}`
  const table = { title, rows: [['a|b', '1/s']], faults: ['word '.repeat(40)] }
  const page = updatePage('', [measured('audit', table)], ORDER)
  t.match(page, /^Many words many words/m, 'the title without the name, which is the heading')
  t.match(page, 'Measured by `npm run bench -- audit` on 2026-11-29 at commit abc1234. On 2 cores.')
  t.match(page, '| a\\|b | 1/s |')
  t.match(page, 'The run had faults:\n\n- word word')
  const prose = page.split('\n').filter((line) => !line.startsWith('|'))
  t.strictSame(
    prose.filter((line) => line.length > 120),
    [],
  )
})

t.test('a goal is met if the measured value is within its bound', async (t) => {
  const what = { case: 'x', values: '' }
  t.match(toGoal(what, { atLeast: 2 }, 2, formatRatio), { goal: '≥ 2.00 ×', isMet: true })
  t.match(toGoal(what, { atLeast: 2 }, 1.99, formatRatio), { isMet: false })
  t.match(toGoal(what, { atMost: 2 }, 2, formatRatio), { goal: '≤ 2.00 ×', isMet: true })
  t.match(toGoal(what, { atMost: 2 }, 2.01, formatRatio), { isMet: false })
  t.match(toGoal(what, { atLeast: 2 }, Number.NaN, formatRatio), { isMet: false })
})
