import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { prepareDecisionCache } from '../stack/decision-cache.ts'

const dataDir = mkdtempSync(join(tmpdir(), 'decision-cache-'))
t.teardown(() => rmSync(dataDir, { recursive: true, force: true }))
const fallback = join(dataDir, 'decisions')

t.test('decisions are in memory, in a folder of their own that only this user can read', async (t) => {
  const { variables, remove } = prepareDecisionCache(dataDir, fallback)
  if (variables.DECISION_CACHE === 'off') {
    t.equal(variables.DECISION_CACHE_DIR, fallback, 'this machine has no folder in memory')
    return
  }
  const folder = variables.DECISION_CACHE_DIR
  t.match(folder, /^\/dev\/shm\//)
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.not(prepareDecisionCache(`${dataDir}-other`, fallback).variables.DECISION_CACHE_DIR, folder)
  prepareDecisionCache(`${dataDir}-other`, fallback).remove()
  writeFileSync(join(folder, 'left-behind'), 'a token')
  prepareDecisionCache(dataDir, fallback)
  t.notOk(existsSync(join(folder, 'left-behind')), 'a new start removes what a killed process left behind')
  remove()
  t.notOk(existsSync(folder))
})
