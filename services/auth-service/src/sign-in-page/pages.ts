import type { Account } from '../principals/account.ts'
import type { Html } from './html.ts'
import { html } from './html.ts'

/** Another way to sign in than a password, as a button. */
export interface SignInLink {
  readonly label: string
  /** Without `return_to`. */
  readonly path: string
}

/** Wraps the content of a page. A page needs nothing from another host, and has no script. */
export function layout(title: string, content: Html): string {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <link rel="stylesheet" href="/sign-in/style.css" />
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          ${content}
        </main>
      </body>
    </html> `
  return page.text
}

export interface SignInPage {
  readonly links: readonly SignInLink[]
  /** The path of ours that the browser is sent to after the sign-in. */
  readonly returnTo: string | undefined
  /** The reason of the failure of the last attempt, in plain words. */
  readonly message?: string | undefined
  /** The username that was typed before. */
  readonly username?: string | undefined
}

export function signInPage({ links, returnTo, message, username }: SignInPage): string {
  const query = returnTo === undefined ? '' : `?return_to=${encodeURIComponent(returnTo)}`
  return layout(
    'Sign in',
    html`${messageOf(message)}
      <form method="post" action="/sign-in">
        ${hiddenField('return_to', returnTo)}
        <label for="username">Username</label>
        <input id="username" name="username" autocomplete="username" required value="${username}" />
        <label for="password">Password</label>
        <input id="password" name="password" type="password" autocomplete="current-password" required />
        <button>Sign in</button>
      </form>
      ${links.map(({ label, path }) => html`<a class="button" href="${path}${query}">${label}</a>`)}`,
  )
}

/** The page of a signed-in person: the account and its rights. */
export function accountPage(account: Account, csrfToken: string, more: readonly Html[] = []): string {
  const { username, role, namespaces } = account
  return layout(
    `Signed in as ${username}`,
    html`<dl>
        <dt>Role</dt>
        <dd>${role}</dd>
        <dt>Namespaces</dt>
        <dd>${namespaces.length === 0 ? 'none' : namespaces.join(', ')}</dd>
      </dl>
      ${more}
      <form method="post" action="/sign-out">
        ${hiddenField('csrf_token', csrfToken)}
        <button>Sign out</button>
      </form>`,
  )
}

/** A page with only a message, such as an error. */
export function messagePage(title: string, message: string): string {
  return layout(
    title,
    html`<p class="message">${message}</p>
      <p><a href="/sign-in">Sign-in page</a></p>`,
  )
}

export function messageOf(message: string | undefined): Html | undefined {
  return message === undefined ? undefined : html`<p class="message" role="alert">${message}</p>`
}

export function hiddenField(name: string, value: string | undefined): Html | undefined {
  return value === undefined ? undefined : html`<input type="hidden" name="${name}" value="${value}" />`
}
