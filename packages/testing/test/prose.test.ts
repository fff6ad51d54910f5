import { existsSync, globSync, readFileSync, readdirSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const MAX_LENGTH = 120

/** A Markdown file without its fenced code blocks: their lines are empty, so that line numbers stay. */
interface Page {
  readonly name: string
  readonly lines: readonly string[]
}

function readPage(name: string): Page {
  let isCode = false
  const lines = readFileSync(join(ROOT, name), 'utf8')
    .split('\n')
    .map((line) => {
      const isFence = /^\s*```/.test(line)
      if (isFence) isCode = !isCode
      return isFence || isCode ? '' : line
    })
  return { name, lines }
}

const rootPages = readdirSync(ROOT).filter((name) => name.endsWith('.md'))
const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name))
const pages = [...rootPages, ...docs].map(readPage)

/** Lines of prose that are too long. Rows of tables, and single words such as URLs, cannot be wrapped. */
function longLines({ name, lines }: Page): string[] {
  return lines.flatMap((line, at) => {
    const cannotWrap = line.startsWith('|') || !/\S\s+\S/.test(line.replace(/^\s*(?:[-*>]\s+)?/, ''))
    return line.length > MAX_LENGTH && !cannotWrap ? [`${name}:${at + 1} has ${line.length} characters`] : []
  })
}

/**
 * The anchors of a page's headings, as GitHub makes them: lower case, without punctuation, hyphens for spaces, and a
 * number after a repeated one.
 */
function anchorsOf({ lines }: Page): Set<string> {
  const anchors = new Set<string>()
  for (const line of lines) {
    const [, heading] = /^#{1,6} (.*)$/.exec(line) ?? []
    if (heading === undefined) continue
    const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    const anchor = text
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-')
    let unique = anchor
    for (let count = 1; anchors.has(unique); count += 1) unique = `${anchor}-${count}`
    anchors.add(unique)
  }
  return anchors
}

/** Links whose file or heading does not exist. A link's text may continue on the next line. */
function brokenLinks({ name, lines }: Page): string[] {
  const text = lines.join('\n').replaceAll(/`[^`\n]*`/g, 'code')
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [file = '', anchor] = link.split('#')
      const target = file === '' ? name : relative(ROOT, join(ROOT, dirname(name), file))
      if (!existsSync(join(ROOT, target))) return true
      if (anchor === undefined) return false
      const page = pages.find((other) => other.name === target)
      return page === undefined || !anchorsOf(page).has(anchor)
    })
    .map((link) => `${name}: ${link}`)
}

t.test('every line of prose in the documentation fits into 120 characters', async (t) => {
  t.ok(pages.length > 30, `${pages.length} pages were read`)
  t.strictSame(pages.flatMap(longLines), [])
  const page = { name: 'a.md', lines: ['word '.repeat(30), `- https://${'x'.repeat(130)}`, '| '.repeat(70)] }
  t.strictSame(longLines(page), ['a.md:1 has 150 characters'], 'a long line is found')
})

t.test('every comment in the code fits into 120 characters', async (t) => {
  const files = globSync(['{packages,services}/*/{src,test}/**/*.ts', '{deploy/local,bench}/**/*.ts'], {
    cwd: ROOT,
    exclude: ['**/node_modules/**'],
  })
  t.ok(files.length > 300, `${files.length} files were read`)
  const longComments = ({ name, lines }: Page) =>
    lines.flatMap((line, at) =>
      /^\s*(?:\*|\/\/|\/\*\*)/.test(line) && line.length > MAX_LENGTH ? [`${name}:${at + 1}`] : [],
    )
  const read = (name: string) => ({ name, lines: readFileSync(join(ROOT, name), 'utf8').split('\n') })
  t.strictSame(files.map(read).flatMap(longComments), [])
  t.strictSame(longComments({ name: 'a.ts', lines: [`// ${'word '.repeat(30)}`] }), ['a.ts:1'])
})

t.test('every relative link in the documentation leads to an existing file and heading', async (t) => {
  t.strictSame(pages.flatMap(brokenLinks), [])
  const lines = [
    '[a](none.md)',
    '[b](README.md#none)',
    '[c](#here)',
    '## Here',
    '[d](https://example.com/none)',
  ]
  t.strictSame(brokenLinks({ name: 'a.md', lines }), ['a.md: none.md', 'a.md: README.md#none', 'a.md: #here'])
})

t.test('every path that docs/architecture.md names exists', async (t) => {
  const { lines } = readPage(join('docs', 'architecture.md'))
  const named = lines.flatMap((line) =>
    [...line.matchAll(/`([\w.-]+(?:\/[\w.-]+)+)`/g)].map(([, path = '']) => path),
  )
  t.ok(named.length > 60, `${named.length} paths are named`)
  const isThere = (path: string) =>
    ['', 'services', 'packages'].some((folder) => existsSync(join(ROOT, folder, path)))
  t.strictSame([...new Set(named.filter((path) => !isThere(path)))], [])
  const files = globSync(['{packages,services}/*/**/*', 'deploy/**/*', '*'], {
    cwd: ROOT,
    exclude: ['**/node_modules/**'],
  })
  const names = new Set(files.map((path) => basename(path)))
  const alone = lines.flatMap((line) =>
    [...line.matchAll(/`([\w.-]+\.(?:js|json|md|template|ts|yaml))`/g)].map(([, name = '']) => name),
  )
  t.ok(alone.length > 30, `${alone.length} files are named without their folder`)
  t.strictSame([...new Set(alone.filter((name) => !names.has(name)))], [])
})

t.test('every cell of the tables in docs/architecture.md has 25 words at most', async (t) => {
  const longCells = (lines: readonly string[]) =>
    lines
      .filter((line) => line.startsWith('|'))
      .flatMap((line) => line.split('|'))
      .filter((cell) => cell.trim().split(/\s+/).length > 25)
  t.strictSame(longCells(readPage(join('docs', 'architecture.md')).lines), [])
  t.equal(longCells([`| a | ${'word '.repeat(26)}|`]).length, 1, 'a long cell is found')
})
