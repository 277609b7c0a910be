"""The demo model gives the same bits in every layout, with one and two threads on each rank."""
import json
import unittest

from harness import main
from ranks import RanksTest

JOB = ["render", "--model", "demo", "--prompt", "A red ball rolls to the right on a beach.", "--quiet",
       "--seed", "7", "--set", "sampler.steps=2", "--set", "video.frames=81", "--set", "video.width=48",
       "--set", "video.height=48", "--set", "output.preview_every=0"]
# windows, stages, tensor, cfg; the last has more window groups than there are windows
LAYOUTS = ["1,1,1,1", "2,1,1,1", "3,1,1,1", "1,2,1,1", "1,4,1,1", "1,1,2,1", "1,1,4,1", "1,1,1,2",
           "2,2,1,1", "1,2,2,1", "2,1,2,1", "2,2,1,2", "2,2,2,1", "7,1,1,1"]


class Layouts(RanksTest):
    def render(self, name, layout, threads):
        sizes = dict(zip(("windows", "stages", "tensor", "cfg"), map(int, layout.split(","))))
        n = 1
        for size in sizes.values():
            n *= size
        keys = [x for item in sizes.items() for x in ("--set", "layout.%s=%d" % item)]
        arguments = [*JOB, *keys, "--set", f"threads={threads}", "--latents-out",
                     self.path(name + ".latents"), "--frames-out", self.path(name + ".frames"),
                     "-o", self.path(name + ".mp4")]
        result = self.run_ranks(n, *arguments)
        self.assertEqual(result.code, 0, str(result))
        with open(self.path(name + ".run", "receipt.json")) as file:
            return json.load(file)

    def test_all_layouts(self):
        one = self.render("one", "1,1,1,1", 2)
        expected = [self.read("one." + kind) for kind in ("latents", "frames", "mp4")]
        for layout in LAYOUTS:
            for threads in (1, 2):
                with self.subTest(layout=layout, threads=threads):
                    name = f"{layout}-{threads}"
                    receipt = self.render(name, layout, threads)
                    self.assertEqual(receipt["job"], one["job"])
                    found = [self.read(f"{name}.{kind}") for kind in ("latents", "frames", "mp4")]
                    self.assertEqual([a == b for a, b in zip(found, expected)], [True] * 3)
                    self.succeeds("compare", self.path("one.run"), self.path(name + ".run"))


if __name__ == "__main__":
    main()
