import type { Account } from '../principals/account.ts'
import type { ManagedPersonalToken } from '../principals/personal-token.ts'
import { isPast } from '../principals/registry-token.ts'
import type { Html } from '../sign-in-page/html.ts'
import { html } from '../sign-in-page/html.ts'
import { hiddenField, layout, messageOf } from '../sign-in-page/pages.ts'

/** The paths of the forms. */
export const TOKENS_PATH = '/sign-in/personal-tokens'
export const DELETE_PATH = `${TOKENS_PATH}/delete`

/** The validities that the page offers, by the days in the form. */
export const VALIDITIES: ReadonlyMap<string, string> = new Map([
  ['7', '7 days'],
  ['30', '30 days'],
  ['90', '90 days'],
  ['365', 'a year'],
  ['', 'no limit'],
])

const DEFAULT_DAYS = '30'

export interface TokensSection {
  readonly personalTokens: readonly ManagedPersonalToken[]
  readonly csrfToken: string
  /** Milliseconds since the epoch. */
  readonly nowMs: number
  /** The reason why the last attempt to make a personal token failed, in plain words. */
  readonly message?: string | undefined
  /** The name that was typed before. */
  readonly name?: string | undefined
}

/** The part of the account page that lists a person's personal tokens and makes new ones. */
export function tokensSection({ personalTokens, csrfToken, nowMs, message, name }: TokensSection): Html {
  return html`<h2>Personal tokens</h2>
    <p>A personal token is a password for docker and for scripts. It permits what you may do yourself.</p>
    ${personalTokens.length === 0 ? undefined : tokensTable(personalTokens, csrfToken, nowMs)}
    ${messageOf(message)}
    <form method="post" action="${TOKENS_PATH}">
      ${hiddenField('csrf_token', csrfToken)}
      <label for="name">Name, for example the name of the machine</label>
      <input id="name" name="name" required maxlength="64" autocomplete="off" value="${name}" />
      <label for="days">Valid for</label>
      <select id="days" name="days">
        ${[...VALIDITIES].map(([days, label]) =>
          days === DEFAULT_DAYS
            ? html`<option value="${days}" selected>${label}</option>`
            : html`<option value="${days}">${label}</option>`,
        )}
      </select>
      <button>Make a personal token</button>
    </form>`
}

function tokensTable(
  personalTokens: readonly ManagedPersonalToken[],
  csrfToken: string,
  nowMs: number,
): Html {
  const rows = personalTokens.map(({ id, name, expiresAt, lastUsed }) => {
    const expiry = expiresAt === null ? 'never' : timeOf(expiresAt)
    return html`<tr>
      <td>${name}</td>
      <td>${isPast(expiresAt, nowMs) ? `expired ${expiry}` : expiry}</td>
      <td>${lastUsed === undefined ? 'never' : `${timeOf(lastUsed.at)} from ${lastUsed.address}`}</td>
      <td>
        <form method="post" action="${DELETE_PATH}">
          ${hiddenField('csrf_token', csrfToken)} ${hiddenField('id', id)}
          <button aria-label="Delete ${name}">Delete</button>
        </form>
      </td>
    </tr>`
  })
  return html`<table>
    <thead>
      <tr>
        <th>Name</th>
        <th>Expires</th>
        <th>Last use</th>
        <th></th>
      </tr>
    </thead>
    <tbody>
      ${rows}
    </tbody>
  </table>`
}

/** Shows a new personal token, once, and the command that uses it at the registry `host`. */
export function newTokenPage(
  { username }: Account,
  { name }: Pick<ManagedPersonalToken, 'name'>,
  password: string,
  host: string,
): string {
  return layout(
    `Personal token ${name}`,
    html`<p>Copy this password now. It is shown only once.</p>
      <pre id="password">${password}</pre>
      <p>Run this command, paste the password, and press Enter and Ctrl+D:</p>
      <pre id="command">docker login ${host} --username ${username} --password-stdin</pre>
      <a class="button" href="/sign-in">Back</a>`,
  )
}

/** A time in UTC, to the minute. */
function timeOf(time: Date): string {
  return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
