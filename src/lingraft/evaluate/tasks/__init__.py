"""Task files for lm-eval: X-CODAH and X-CSQA in 16 languages, as LEIA asks them.

They work in lm-eval itself too; docs/evaluate.md says in what its scores then differ from ours.

    lm_eval --model hf --model_args pretrained=M --tasks xcsqa_ja --metadata '{"data": "DIR"}' \\
        --include_path "$(python -c 'import lingraft.evaluate.tasks as t; print(t.__path__[0])')"
"""
