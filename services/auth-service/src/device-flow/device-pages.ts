import type { Account } from '../principals/account.ts'
import { hiddenField, layout, messageOf } from '../sign-in-page/pages.ts'
import { html } from '../sign-in-page/html.ts'
import type { WaitingDevice } from './device-flow.ts'

/** Asks for the code that a device shows. */
export function codePage(message?: string): string {
  return layout(
    'Sign in a device',
    html`${messageOf(message)}
      <form method="get" action="/device">
        <label for="user_code">The code that the device shows</label>
        <input id="user_code" name="user_code" required autocomplete="off" autocapitalize="characters" />
        <button>Continue</button>
      </form>`,
  )
}

/** Asks whether a device may act for the signed-in person. */
export function confirmPage(account: Account, device: WaitingDevice, csrfToken: string): string {
  const { userCode, clientName, address } = device
  return layout(
    'Sign in a device?',
    html`<p>
        A device wants to use the registry as <strong>${account.username}</strong> for twelve hours, with all
        your rights. Allow this only if you started this sign-in yourself and the device shows this code.
      </p>
      <dl>
        <dt>Code</dt>
        <dd>${userCode}</dd>
        <dt>Name of the device</dt>
        <dd>${clientName}</dd>
        <dt>Address of the device</dt>
        <dd>${address}</dd>
      </dl>
      <form method="post" action="/device">
        ${hiddenField('csrf_token', csrfToken)} ${hiddenField('user_code', userCode)}
        <button name="decision" value="allow">Allow</button>
        <button name="decision" value="deny">Refuse</button>
      </form>`,
  )
}

export function decidedPage(isAllowed: boolean): string {
  return isAllowed
    ? layout('The device is signed in', html`<p>You can close this page.</p>`)
    : layout('The device is refused', html`<p>It gets no access. You can close this page.</p>`)
}
