"""A benchmark runs as many rounds as its command line asks for."""

from benchmarks import bootstrap, cloud


def test_the_cloud_s_starts_run_as_often_as_asked_for_and_its_synths_a_third_of_that(monkeypatch):
    asked = {}
    monkeypatch.setattr("sys.argv", ["cloud", "--rounds", "7"])
    monkeypatch.setattr(cloud, "compare_cold_starts", lambda *, rounds: asked.setdefault("starts", rounds))
    monkeypatch.setattr(cloud, "compare_synths", lambda _, *, rounds: asked.setdefault("synths", rounds))
    monkeypatch.setattr(cloud, "report", lambda *_: 0)
    assert cloud.main() == 0
    assert asked == {"starts": 7, "synths": 2}


def test_a_bootstrap_runs_as_often_as_asked_for_and_help_five_times_as_often(monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setattr("sys.argv", ["bootstrap", "--rounds", "3"])
    for name in ("device_installation", "recipe_installation", "boto3_installation"):
        monkeypatch.setattr(bootstrap, name, lambda: tmp_path)
    monkeypatch.setattr(bootstrap, "build", lambda: type("Build", (), {"library": None}))
    monkeypatch.setattr(bootstrap, "install_simulated_zymkey", lambda *_: None)
    monkeypatch.setattr(bootstrap, "compare_bootstraps", lambda _, *, rounds, **__: asked.setdefault("whole", rounds))
    monkeypatch.setattr(bootstrap, "compare_help", lambda _, *, rounds: asked.setdefault("help", rounds))
    monkeypatch.setattr(bootstrap, "report", lambda *_: 0)
    assert bootstrap.main() == 0
    assert asked == {"whole": 3, "help": 15}
