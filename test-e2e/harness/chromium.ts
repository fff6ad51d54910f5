import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import type { BrowserContext, Page } from 'playwright-core'
import type { Test } from 'tap'
import { findCommand } from '../../deploy/local/find-command.js'
import {
  BROWSER_PACKAGES,
  prepareTestPrograms,
  testProgramsFolder,
} from '../../deploy/local/test-programs.js'

/** Requests of its own, to its maker's hosts, and a sandbox that root cannot have. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-sync',
  '--disable-background-networking',
  '--disable-component-update',
]
/** A page that needs longer is broken. */
const TIMEOUT_MS = 30_000

/** A window of Chromium that keeps its own cookies. */
export interface Window {
  readonly context: BrowserContext
  readonly page: Page
  /** The messages of the console so far that name a Content-Security-Policy. */
  violations(): readonly string[]
}

/** The installed Chromium, or the one of Debian's package in the cache folder. */
function findChromium(): string | undefined {
  const unpacked = join(testProgramsFolder(process.env, BROWSER_PACKAGES), 'chromium')
  return findCommand('chromium') ?? (existsSync(unpacked) ? unpacked : undefined)
}

/** Downloads Chromium if this machine has none. Returns the reason why it cannot run here, or false. */
export function chromiumIsMissing(): string | false {
  if (findCommand('chromium') !== undefined) return false
  const say = (line: string) => process.stderr.write(`${line}\n`)
  const fault = prepareTestPrograms(process.env, say, BROWSER_PACKAGES)
  return fault !== '' && `not installed: chromium; ${fault}`
}

/** Opens a window of Chromium, which closes when the test ends. It accepts the certificate of the stack. */
export async function openChromium(t: Test): Promise<Window> {
  const executablePath = findChromium()
  if (executablePath === undefined) throw new Error('Chromium is missing')
  const browser = await chromium.launch({ executablePath, args: FLAGS, timeout: TIMEOUT_MS })
  t.teardown(() => browser.close())
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  context.setDefaultTimeout(TIMEOUT_MS)
  const page = await context.newPage()
  const messages: string[] = []
  page.on('console', (message) => messages.push(message.text()))
  return {
    context,
    page,
    violations: () => messages.filter((message) => message.includes('Content Security Policy')),
  }
}
