"""A sample of the fault walk: calls that fail, one in a run (faults.py). All of it: scripts/fault_walk.sh."""
import random
import unittest

import faults
from harness import PROGRAM, SANITIZED, main

# Of each scenario: ranks and how many faults.
SAMPLE = [("render", 1, 12), ("resume", 1, 8), ("decode", 1, 5), ("pictures", 1, 5), ("strict", 1, 4), ("render", 2, 6),
          ("resume", 2, 6), ("resume", 4, 3)]


class Faults(unittest.TestCase):
    def setUp(self):
        self.walk = faults.Walk()
        self.addCleanup(self.walk.close)

    @unittest.skipIf(SANITIZED, "slow under the sanitizers")
    def test_sample(self):
        cases, n_of_all, results = [], 0, []
        for scenario, n, count in SAMPLE:
            found = self.walk.cases(scenario, n)
            n_of_all += len(found)
            cases += random.Random(count).sample(found, count)
        self.walk.walk_all(cases, 2, lambda case, result: results.append((case, result)))
        print(faults.summary(results), f"of {n_of_all}", flush=True)
        for case, (_, _, wrong) in results:
            with self.subTest(case=str(case), at=self.walk.name(case.place)):
                self.assertEqual(wrong, [])

    def test_users_have_none(self):
        with open(PROGRAM, "rb") as file:
            program = file.read()
        for text in (b"HR_FAULT=", b"HR_FAULT_TRACE", b"hdf5.write\0", b"memory.realloc\0"):
            self.assertNotIn(text, program)
        with open(self.walk.program, "rb") as file:
            self.assertIn(b"HR_FAULT_TRACE", file.read())


if __name__ == "__main__":
    main()
