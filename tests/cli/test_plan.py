"""haloreel plan: what it says is what a render then takes."""
import json
import os

from harness import CliTest, main
from ranks import RanksTest

LONG = ["--prompt", "a red cat", "--seed", "7", "--set", "sampler.steps=2", "--set", "video.width=96", "--set",
        "video.height=64", "--set", "video.frames=65", "--set", "output.preview_every=0"]
TRAFFIC = ("halo", "stage", "tensor", "rows", "other")


def layout_keys(layout):
    return [f"--set=layout.{key}={n}" for key, n in zip(("windows", "stages", "tensor", "cfg"), layout)]


def measured(receipt):
    """What each rank took, by its number."""
    machine = json.loads(receipt)["machine"]
    return [dict(part.split("=", 1) for part in machine[f"rank {r}"].split()) for r in range(int(machine["ranks"]))]


# Beside 10 %: ranks tell each other some bytes when they save, which a dry run does not.
ROOM = {"other_bytes": 4096}


class Agrees(RanksTest):
    """Within 10 %."""

    def compare(self, layout):
        n = layout[0] * layout[1] * layout[2] * layout[3]
        plan = json.loads(self.succeeds("plan", *LONG, *layout_keys(layout), "--ranks", str(n), "--json").stdout)
        self.ranks_succeed(n, "render", *LONG, *layout_keys(layout), "--force", "-o", "a.mp4")
        self.assertEqual(plan["layout"], dict(zip(("windows", "stages", "tensor", "cfg"), layout)))
        taken = measured(self.read("a.run", "receipt.json"))
        self.assertEqual([rank["rank"] for rank in plan["per_rank"]], list(range(n)))
        for said, took in zip(plan["per_rank"], taken):
            for key in ("memory_bytes", "flops", *(f"{name}_bytes" for name in TRAFFIC)):
                room = 0.1 * float(took[key]) + ROOM.get(key, 0)
                self.assertAlmostEqual(said[key], float(took[key]), delta=room,
                                       msg=f"{layout} rank {said['rank']} {key}")
        return plan, taken

    def test_windows(self):
        plan, taken = self.compare((2, 1, 1, 1))
        self.assertGreater(float(taken[1]["halo_bytes"]), 0)
        self.assertEqual(plan["windows"]["latent_frames"], 6)
        self.assertLess(plan["windows"]["fewest"], plan["windows"]["most"] + 1)

    def test_stages(self):
        _, taken = self.compare((1, 2, 1, 1))
        self.assertGreater(float(taken[0]["stage_bytes"]), 0)

    def test_tensor(self):
        _, taken = self.compare((1, 1, 2, 1))
        self.assertGreater(float(taken[0]["tensor_bytes"]), 0)

    def test_all_together(self):
        self.compare((2, 1, 1, 2))


class Plan(CliTest):
    def test_text(self):
        result = self.succeeds("plan", *LONG, "--ranks", "4", "--ranks-per-node", "2")
        text = result.stdout.decode()
        for part in ("65 frames (17 latent)", "4 ranks on 2 hosts", "of the denoising", "a step", "TFLOP", "about"):
            self.assertIn(part, text)
        self.assertEqual(os.listdir(self.folder), [], "a plan leaves nothing behind")

    def test_more_ranks_and_hosts(self):
        plan = json.loads(self.succeeds("plan", *LONG, "--ranks", "40", "--ranks-per-node", "4", "--json").stdout)
        self.assertEqual((plan["ranks"], plan["hosts"]), (40, 10))
        self.assertGreater(plan["step_traffic"]["halo_bytes_between_hosts"], 0)
        self.assertLessEqual(plan["least_utilisation"], plan["utilisation"])
        self.assertLessEqual(len(plan["per_rank"]), 40)

    def test_a_sample_of_many_ranks_stands_for_all(self):
        """More than 16 ranks are not all looked at: all stages but the last send, one has the head."""
        keys = [*LONG, "--set", "video.width=32", "--set", "video.height=32"]
        small = json.loads(self.succeeds("plan", *keys, *layout_keys((4, 4, 1, 1)), "--ranks", "16", "--json").stdout)
        large = json.loads(self.succeeds("plan", *keys, *layout_keys((5, 4, 1, 1)), "--ranks", "20", "--json").stdout)
        self.assertLess(len(large["per_rank"]), 20)
        self.assertEqual(sum(rank["stands_for"] for rank in large["per_rank"]), 20)
        for key in ("stage_bytes", "tensor_bytes"):
            self.assertAlmostEqual(large["step_traffic"][key], small["step_traffic"][key],
                                   delta=0.1 * small["step_traffic"][key])
        self.assertAlmostEqual(large["flops"]["denoise"], small["flops"]["denoise"],
                               delta=0.1 * small["flops"]["denoise"])

    def test_fewer_bytes_between_hosts_than_in_all(self):
        plan = json.loads(self.succeeds("plan", *LONG, *layout_keys((2, 1, 2, 1)), "--ranks", "4", "--ranks-per-node",
                                        "2", "--json").stdout)
        self.assertEqual(plan["step_traffic"]["tensor_bytes_between_hosts"], 0)
        self.assertGreater(plan["step_traffic"]["tensor_bytes"], 0)

    def test_no_prompt_is_needed(self):
        self.succeeds("plan", "--set", "video.frames=21")

    def test_refused(self):
        for code, part, arguments in (
                (2, "--ranks", ["--ranks", "0"]), (2, "--ranks", ["--ranks", "many"]),
                (2, "tensor", ["--ranks", "3", "--set", "layout.tensor=3"]),
                (2, "nearest: 61 or 65", ["--set", "video.frames=62"]),
                (2, "windows.overlap", [*LONG, "--set", "windows.overlap=24"]),
                (3, "nosuch", ["--model", "nosuch"])):
            with self.subTest(arguments=arguments):
                self.refused(code, part, "plan", *arguments)


if __name__ == "__main__":
    main()
