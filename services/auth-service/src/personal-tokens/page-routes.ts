import type { UnavailableDependency } from '@registry-manager/http'
import { setRequestPrincipal } from '@registry-manager/http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RequestSession, RequestSessions } from '../browser-sessions/request-session.ts'
import { requireCsrfToken } from '../browser-sessions/request-session.ts'
import type { Account } from '../principals/account.ts'
import type { ManagedPersonalToken } from '../principals/personal-token.ts'
import { PERSONAL_TOKEN_NAME, PERSONAL_TOKEN_NAME_RULE } from '../principals/personal-token.ts'
import { isId, namedPrincipal } from '../principals/principal.ts'
import { isPast } from '../principals/registry-token.ts'
import type { Html } from '../sign-in-page/html.ts'
import { formFieldsOf, sendPage, sentenceOf, servePages } from '../sign-in-page/page-responses.ts'
import { accountPage } from '../sign-in-page/pages.ts'
import { creationProblem } from './creation-problem.ts'
import type { ManagePersonalTokens, PersonalTokenCreation } from './manage-personal-tokens.ts'
import type { TokensSection } from './token-pages.ts'
import { DELETE_PATH, VALIDITIES, TOKENS_PATH, newTokenPage, tokensSection } from './token-pages.ts'

export interface TokenPageDeps {
  readonly personalTokens: ManagePersonalTokens
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export interface TokenPageOptions extends TokenPageDeps {
  readonly sessions: RequestSessions
  /** The origin of PUBLIC_URL: its host is the one in the command. A Host header could name any other. */
  readonly publicOrigin: string
  readonly unavailableDependency: UnavailableDependency
}

const HIDDEN = { schema: { hide: true } }
const DAY_MS = 86_400_000
/** Number of personal tokens that one query reads. */
const PAGE = 1000
/** Maximum number of expired personal tokens on the page. They follow all that have not expired. */
const MAX_EXPIRED = 100
const NAME_FAULT = { field: 'name', detail: PERSONAL_TOKEN_NAME_RULE }
const DAYS_FAULT = { field: 'days', detail: 'must be 7, 30, 90 or 365, or empty for no limit' }

/** Builds the part of the account page that is about personal tokens. */
export function createTokensSection({ personalTokens, now }: TokenPageDeps) {
  return async (
    { account, csrfToken }: RequestSession,
    typed: Pick<TokensSection, 'message' | 'name'> = {},
  ): Promise<Html> => {
    const nowMs = now()
    const all = await listAll(personalTokens, account)
    const { live = [], expired = [] } = Object.groupBy(all, ({ expiresAt }) =>
      isPast(expiresAt, nowMs) ? 'expired' : 'live',
    )
    const shown = [...live, ...expired.slice(0, MAX_EXPIRED)]
    return tokensSection({ personalTokens: shown, csrfToken, nowMs, ...typed })
  }
}

/** A person's own list, page by page: expired personal tokens stay in it for a while. */
async function listAll(
  personalTokens: ManagePersonalTokens,
  account: Account,
): Promise<readonly ManagedPersonalToken[]> {
  const all: ManagedPersonalToken[] = []
  for (let after: string | undefined = ''; after !== undefined;) {
    const listed = await personalTokens.list(account, undefined, { limit: PAGE, after })
    if (listed.outcome !== 'listed') break
    all.push(...listed.items)
    after = listed.next
  }
  return all
}

/**
 * The forms of the account page that make and delete personal tokens. The response to the form has the password, so
 * that it is stored nowhere, not even for a redirect. If the browser loads the page again it sends the form again: the
 * name is taken then, so there is no second token, and the password is not shown again.
 */
export async function tokenPageRoutes(app: FastifyInstance, options: TokenPageOptions): Promise<void> {
  const { personalTokens, sessions, publicOrigin, now } = options
  const { host } = new URL(publicOrigin)
  const sectionOf = createTokensSection(options)
  servePages(app, options.unavailableDependency)

  const toAccountPage = (reply: FastifyReply) => reply.redirect('/sign-in', 303)

  /** Runs a step for the signed-in person who has sent a form of ours. */
  const withForm = async (
    request: FastifyRequest,
    reply: FastifyReply,
    step: (session: RequestSession, fields: ReturnType<typeof formFieldsOf>) => Promise<FastifyReply>,
  ): Promise<FastifyReply> => {
    const fields = formFieldsOf(request)
    const session = await sessions.find(request)
    if (session === undefined) return toAccountPage(reply)
    requireCsrfToken(session, fields['csrf_token'])
    setRequestPrincipal(namedPrincipal(session.account))
    return step(session, fields)
  }

  const create = async (
    { account }: RequestSession,
    name: string,
    days: string,
  ): Promise<PersonalTokenCreation> => {
    if (!PERSONAL_TOKEN_NAME.test(name)) return { outcome: 'invalid', fault: NAME_FAULT }
    if (!VALIDITIES.has(days)) return { outcome: 'invalid', fault: DAYS_FAULT }
    const expiryDate = days === '' ? null : new Date(now() + Number(days) * DAY_MS).toISOString()
    return personalTokens.create(account, { name, expiryDate })
  }

  // The page with a new personal token has this address. A GET of it, from the browser's history for example, shows the
  // account page.
  app.get(TOKENS_PATH, HIDDEN, async (_request, reply) => toAccountPage(reply))

  app.post(TOKENS_PATH, HIDDEN, (request, reply) =>
    withForm(request, reply, async (session, { name: typed = '', days = 'none' }) => {
      const name = typed.trim()
      const result = await create(session, name, days)
      if (result.outcome === 'created') {
        return sendPage(
          reply,
          200,
          newTokenPage(session.account, result.personalToken, result.password, host),
        )
      }
      const { status, detail } = creationProblem(result, session.account.username).problem
      const section = await sectionOf(session, { message: sentenceOf(detail), name })
      return sendPage(reply, status, accountPage(session.account, session.csrfToken, [section]))
    }),
  )

  app.post(DELETE_PATH, HIDDEN, (request, reply) =>
    withForm(request, reply, async ({ account }, { id = '' }) => {
      // A personal token that was deleted before needs no message: the page lists the remaining ones.
      if (isId(id)) await personalTokens.delete(account, id)
      return toAccountPage(reply)
    }),
  )
}
