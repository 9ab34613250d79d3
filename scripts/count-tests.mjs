// Adds up vitest's JSON reports: node scripts/count-tests.mjs OTHER_FAILURES REPORT... ; ends with `N passed, N failed`.
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'

const [otherFailures, ...files] = process.argv.slice(2)
let passed = 0
let failed = 0
for (const file of files) {
  const report = JSON.parse(readFileSync(file, 'utf8'))
  const brokenFiles = report.testResults.filter(
    (result) => result.status === 'failed' && result.assertionResults.length === 0,
  )
  const notRun = report.numPendingTests + report.numTodoTests
  console.log(
    `${basename(file, '.json')}: ${report.numPassedTests} passed, ${report.numFailedTests} failed, ${notRun} not run`,
  )
  passed += report.numPassedTests
  failed += report.numFailedTests + brokenFiles.length + notRun
}
if (passed === 0) failed++
if (failed === 0 && otherFailures !== '0') failed++ // formatting, lint or types
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
