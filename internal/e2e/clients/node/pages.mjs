// People at the pages, in Chromium: what they do there, without a mouse and without
// JavaScript too, and what axe-core finds on every page, on a telephone and on a desk, by
// day and by night. It reads a request and prints what went wrong.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { addAuthenticator, browser, code, expect, fill, follow, heading, leads, person, wrong } from './people.mjs'

const ask = JSON.parse(readFileSync(0, 'utf8'))
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const seen = new Set()

// By night nothing but the colours is another.
const rules = { light: {}, dark: { runOnly: { type: 'rule', values: ['color-contrast'] } } }

// check looks at the page that is shown, in all its ways.
const check = async (page, name) => {
  seen.add(name)
  await page.evaluate(axe)
  for (const width of [390, 1280]) {
    await page.setViewportSize({ width, height: 800 })
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme })
      const found = await page.evaluate((only) => window.axe.run(document, { preload: false, ...only }), rules[colorScheme])
      for (const v of found.violations) wrong.push(`${name} at ${width}, ${colorScheme}: ${v.id} of ${v.nodes.map((n) => n.html).join(' ')}`)
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
      if (beyond > 0) wrong.push(`${name} at ${width} is ${beyond} pixels too wide`)
    }
  }
}
// shown returns which of some elements are there to be seen.
const shown = (page, elements) => page.$$eval(elements, (list) => list.filter((e) => e.checkVisibility()).map((e) => e.id))
const at = (path) => ask.issuer + path
const completes = (page) => page.$$eval('form input:not([type=hidden], [type=checkbox])', (list) => list.map((i) => i.autocomplete))
// letter returns the token in the link of the next letter.
const letter = async () => (await fetch(ask.mailbox)).text()
const sessionCookie = async (context) => (await context.cookies()).find((c) => c.name === 'keyturn')

try {
  const { context, page } = await person()
  await page.goto(at('/account'))
  await check(page, 'login')
  expect('what a password manager reads', await completes(page), ['username', 'current-password'])
  await fill(page, { username: ask.username, password: 'a guess' })
  await check(page, 'login, wrong')
  expect('the refusal', await page.textContent('[role=alert]'), 'The name or the password is wrong.')
  expect('the password after it', await page.inputValue('#password'), '')
  expect('the name after it', await page.inputValue('#username'), ask.username)

  // With the keyboard alone.
  await page.goto(at('/account'))
  await page.waitForFunction(() => document.activeElement?.id === 'username')
  await page.keyboard.type(ask.username)
  await page.keyboard.press('Tab')
  await page.keyboard.type(ask.password)
  await page.keyboard.press('Tab')
  await page.keyboard.press('Space')
  await page.keyboard.press('Tab')
  await leads(page, () => page.keyboard.press('Enter'))
  await check(page, 'account')
  expect('who is logged in', await page.textContent('.about strong'), ask.username)
  const kept = await sessionCookie(context)
  expect('the cookie', [kept.httpOnly, kept.sameSite, kept.expires > Date.now() / 1000 + 86400 * 20], [true, 'Lax', true])

  // A passkey is offered where it can be asked for: the button is there, and hidden.
  const without = await person()
  await without.page.addInitScript(() => delete window.PublicKeyCredential)
  const other = await person({ javaScriptEnabled: false })
  for (const who of [without, other]) {
    await who.page.goto(at('/account'))
    expect('what is there', await who.page.$$eval('[hidden]', (list) => list.map((e) => e.id)), ['passkey'])
    expect('what is hidden and to be seen', await shown(who.page, '[hidden]'), [])
  }
  await fill(other.page, { username: ask.username, password: ask.password })
  expect('without JavaScript', await heading(other.page), 'Your account')
  expect('the cookie of a browser that is not to remember', (await sessionCookie(other.context)).expires, -1)
  await follow(page, 'nav >> text=Sessions')
  await check(page, 'sessions')
  expect('the sessions', await page.$$eval('h2', (list) => list.map((h) => h.textContent)), ['Chrome, Linux This browser', 'Chrome, Linux'])
  await follow(page, 'text="End"')
  expect('the sessions left', (await page.$$('h2')).length, 1)
  await other.page.goto(at('/account'))
  expect('who was ended', await heading(other.page), 'Log in')

  await fill(other.page, { username: ask.username, password: ask.password })
  await page.goto(at('/account/password'))
  await check(page, 'password')
  expect('what a password manager reads', await completes(page), ['username', 'current-password', 'new-password'])
  expect('what is hidden and to be seen', await shown(page, '[hidden]'), [])
  await fill(page, { current_password: 'a guess', new_password: 'another long sentence' })
  await check(page, 'password, wrong')
  expect('the refusal', await page.textContent('[role=alert]'), 'The current password is wrong.')
  await fill(page, { current_password: ask.password, new_password: 'another long sentence' })
  await check(page, 'account, changed')
  expect('what was done', await page.textContent('[role=status]'), 'Your password is changed. All your other sessions have ended.')
  await other.page.goto(at('/account'))
  expect('the other browser', await heading(other.page), 'Log in')
  await page.goto(at('/account/sessions'))
  expect('the sessions after that', (await page.$$('h2')).length, 1)

  await follow(page, 'nav >> text=Log out')
  await check(page, 'logout')
  await follow(page, 'form button')
  await check(page, 'login, logged out')
  expect('the cookie after that', await sessionCookie(context), undefined)

  await follow(page, 'text=Create an account')
  await check(page, 'signup')
  expect('what a password manager reads', await completes(page), ['username', 'given-name', 'family-name', 'new-password'])
  await fill(page, { email: 'grace@example.com', first_name: 'Grace', new_password: 'passwordpassword' })
  await check(page, 'signup, wrong')
  expect('what is wrong', await page.getAttribute('[aria-invalid]', 'id'), 'new_password')
  await fill(page, { email: 'grace@example.com', new_password: 'a compiler for plain English' })
  await check(page, 'sent')
  await page.goto(at('/account/confirm?token=' + await letter()))
  await check(page, 'confirm')
  expect('what a password manager reads', await completes(page), ['username', 'current-password'])
  await fill(page, { password: 'a compiler for plain English' })
  expect('who signed up', await page.textContent('.about strong'), 'grace@example.com')

  await follow(page, 'nav >> text=Your data')
  await check(page, 'profile')
  const widths = await page.$$eval('main button, main .second', (list) => list.map((e) => e.offsetWidth))
  expect('the widths of the buttons', [widths.length, new Set(widths).size], [4, 1])
  await fill(page, { first_name: 'Grace', last_name: 'Hopper' })
  await page.goto(at('/account/delete'))
  await check(page, 'delete')
  await follow(page, 'text=Cancel')
  expect('the name', await page.inputValue('#last_name'), 'Hopper')

  await follow(page, 'text=Change e-mail address')
  await check(page, 'email')
  expect('what a browser fills in', await completes(page), ['email'])
  await fill(page, { email: 'grace..hopper@example.com' })
  await check(page, 'email, wrong')
  expect('what is wrong', await page.getAttribute('[aria-invalid]', 'id'), 'email')
  await fill(page, { email: 'hopper@example.com' })
  await check(page, 'account, another address asked for')
  await page.goto(at('/account/confirm?token=' + await letter()))
  await check(page, 'confirm, another address')
  expect('what is confirmed', await page.textContent('.about'), 'The address of your account changes to hopper@example.com.')
  await follow(page, 'form button')
  expect('what was done', await page.textContent('[role=status]'), 'Your address is confirmed.')
  await page.goto(at('/account'))
  expect('who is logged in', await page.textContent('.about strong'), 'hopper@example.com')

  const asks = new URLSearchParams({
    response_type: 'code', client_id: 'wiki', redirect_uri: at('/account'), code_challenge_method: 'S256',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', scope: 'openid email read:things',
  })
  await page.goto(at('/oauth/authorize?ui_locales=ar&' + asks))
  await check(page, 'consent, Arabic')
  await page.goto(at('/oauth/authorize?' + asks))
  await check(page, 'consent')
  expect('what is asked', await page.$$eval('.asked li', (list) => list.map((l) => l.textContent)), ['to know who you are here', 'your e-mail address', 'read:things'])
  await follow(page, 'form button')
  expect('where the code leads', await heading(page), 'Your account')
  await follow(page, 'nav >> text=Applications')
  await check(page, 'applications')
  expect('who may have something', await page.$$eval('h2', (list) => list.map((h) => h.textContent)), ['The wiki'])
  await follow(page, 'text=Withdraw')
  await check(page, 'applications, none')
  expect('who still may', (await page.$$('h2')).length, 0)
  await follow(page, 'nav >> text=Second factor')
  await check(page, 'factors')
  await follow(page, 'text=Add a second factor')
  await check(page, 'enrol')
  expect('whom a passkey is for', JSON.parse(await page.getAttribute('#passkey', 'data-options')).rp, { name: 'Analytical Engines', id: 'localhost' })
  const key = await page.textContent('code')
  await fill(page, { code: 'x' })
  await check(page, 'enrol, wrong')
  expect('the key after a wrong code', await page.textContent('code'), key)
  const spent = code(key, 0)
  await fill(page, { code: spent })
  await check(page, 'recovery')
  const recovery = await page.$$eval('code', (list) => list.map((c) => c.textContent))
  expect('the recovery codes', recovery.length, 10)
  await follow(page, 'text=Continue')
  await check(page, 'factors, one')
  await follow(page, 'nav >> text=Log out')
  await follow(page, 'form button')
  await fill(page, { username: 'hopper@example.com', password: 'a compiler for plain English' })
  await check(page, 'code')
  expect('what a password manager reads', await completes(page), ['one-time-code'])
  await fill(page, { code: spent })
  await check(page, 'code, used')
  await fill(page, { code: code(key, 1) })
  expect('who knew the code', await page.textContent('.about strong'), 'hopper@example.com')

  // A passkey: made, used beside the password, then alone, then lost.
  const authenticator = await addAuthenticator(page)
  await page.goto(at('/account/factors/app'))
  await follow(page, '#passkey')
  await check(page, 'factors, a passkey')
  expect('the factors', await page.$$eval('h2', (list) => list.map((h) => h.textContent)), ['Authenticator app', 'Passkey – Chrome, Linux', 'Recovery codes'])
  const again = async (known) => {
    await page.goto(at('/account/logout'))
    await follow(page, 'form button')
    if (known) await fill(page, { username: 'hopper@example.com', password: 'a compiler for plain English' })
  }
  for (const known of [true, false]) {
    await again(known)
    await follow(page, '#passkey')
    expect(known ? 'by a passkey and the password' : 'by a passkey alone', await page.textContent('.about strong'), 'hopper@example.com')
  }
  await again(true)
  await authenticator.remove()
  await fill(page, { code: recovery[1] })
  expect('without the passkey', await page.textContent('.about strong'), 'hopper@example.com')

  await page.goto(at('/oauth/authorize?client_id=nobody'))
  await check(page, 'error')
  await page.goto(at('/account/nothing'))
  await check(page, 'error, no page')
  expect('what is not there', await page.textContent('main p'), 'There is nothing at this address.')

  const absent = await person()
  await absent.page.goto(at('/account'))
  await follow(absent.page, 'text=Forgotten your password?')
  await check(absent.page, 'forgot')
  await fill(absent.page, { email: 'hopper@example.com' })
  await absent.page.goto(at('/account/reset?token=' + await letter()))
  await check(absent.page, 'reset')
  await fill(absent.page, { new_password: 'a compiler for plain English' })
  expect('what was done', await heading(absent.page), 'Log in')

  const reader = await person({ locale: 'ar-EG' })
  for (const path of ['', '/signup']) {
    await reader.page.goto(at('/account' + path))
    await check(reader.page, 'Arabic' + path)
    expect('the direction', await reader.page.getAttribute('html', 'dir'), 'rtl')
  }
  await reader.page.click('summary')
  await check(reader.page, 'languages')
  await follow(reader.page, 'text=Deutsch')
  expect('the language', await reader.page.getAttribute('html', 'lang'), 'de')
  await follow(reader.page, '.other a')
  await fill(reader.page, { username: 'hopper@example.com', password: 'a compiler for plain English' })
  await fill(reader.page, { code: recovery[0].toLowerCase() })
  expect('the language after the log-in', await heading(reader.page), 'Ihr Konto')
} catch (error) {
  wrong.push(String(error))
}
await browser.close()
console.log(JSON.stringify({ wrong, seen: [...seen] }))
