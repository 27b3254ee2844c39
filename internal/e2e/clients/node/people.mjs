// People with Chromium, for the programs here that have some at the pages.
import { createHmac } from 'node:crypto'
import { chromium } from 'playwright-core'

// wrong is what a program found that is not as it should be.
export const wrong = []
export const expect = (what, got, want) => {
  if (JSON.stringify(got) !== JSON.stringify(want)) wrong.push(`${what}: ${JSON.stringify(got)}, want ${JSON.stringify(want)}`)
}

// As root Chromium has no sandbox; it opens these pages alone.
export const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] })

// person returns somebody at a device of their own.
export const person = async (options) => {
  const context = await browser.newContext({ locale: 'en', ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(120_000)
  page.on('console', (said) => {
    const status = /the server responded with a status of (4\d\d)/.test(said.text()) // that of a form shown again
    if (said.type() === 'error' && !status) wrong.push(`${page.url()} says ${said.text()}`)
  })
  return { context, page }
}

// leads does what leads to another page, and waits for that.
export const leads = (page, what) => Promise.all([page.waitForNavigation(), what()])
export const follow = (page, link) => leads(page, () => page.click(link))
export const heading = (page) => page.textContent('h1')

// fill fills in the form that is shown, and sends it.
export const fill = async (page, values) => {
  for (const [id, value] of Object.entries(values)) await page.fill('#' + id, value)
  await follow(page, 'form button[type=submit]')
}

// code is what an authenticator app shows that has the key, this step or one after it.
export const code = (key, steps) => {
  const bits = [...key.replaceAll(' ', '')].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps))
  const sum = createHmac('sha1', Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)))).update(counter).digest()
  return String((sum.readUInt32BE(sum[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

// addAuthenticator gives the device of a page an authenticator that asks for its user's
// finger. Its passkeys can be lost, and it can break.
export const addAuthenticator = async (page) => {
  const device = await page.context().newCDPSession(page)
  await device.send('WebAuthn.enable')
  const { authenticatorId } = await device.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true },
  })
  return {
    lose: () => device.send('WebAuthn.clearCredentials', { authenticatorId }),
    remove: () => device.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId }),
  }
}
