"""Encoders of text."""

from gedanken.sources.architectures.family import Family, Rule, under

EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "embed.W_E",
    "embeddings.position_embeddings.weight": "embed.W_pos",
    "embeddings.token_type_embeddings.weight": "embed.W_type",
}
_HEADS = {"pooler.dense.weight": "unembed.W_pool", "classifier.weight": "unembed.W_class"}
BERT_LAYER = {
    "attention.self.query.weight": "attn.W_Q",
    "attention.self.key.weight": "attn.W_K",
    "attention.self.value.weight": "attn.W_V",
    "attention.output.dense.weight": "attn.W_O",
    "intermediate.dense.weight": "mlp.W_in",
    "output.dense.weight": "mlp.W_out",
}

BERT = Family(
    "bert",
    {
        **EMBEDDINGS,
        **_HEADS,
        "cls.predictions.transform.dense.weight": "unembed.W_transform",
        "cls.predictions.decoder.weight": "unembed.W_U",
        "cls.seq_relationship.weight": "unembed.W_class",
        **under("layer.L", BERT_LAYER),
    },
    model_types=("bert", "ernie", "nezha"),
    tied_if="unembed.W_transform",
)

ROBERTA = Family(
    "roberta",
    {
        **EMBEDDINGS,
        **_HEADS,
        "lm_head.dense.weight": "unembed.W_transform",
        "lm_head.decoder.weight": "unembed.W_U",
        "classifier.dense.weight": "unembed.W_pool",
        "classifier.out_proj.weight": "unembed.W_class",
        **under("layer.L", BERT_LAYER),
    },
    model_types=("roberta", "xlm-roberta", "camembert", "data2vec-text", "esm"),
    tied_if="unembed.W_transform",
)

ELECTRA = Family(
    "electra",
    {
        **EMBEDDINGS,
        **_HEADS,
        "embeddings_project.weight": "embed.W_proj",
        "generator_predictions.dense.weight": "unembed.W_transform",
        "generator_lm_head.weight": "unembed.W_U",
        "discriminator_predictions.dense.weight": "unembed.W_pool",
        "discriminator_predictions.dense_prediction.weight": "unembed.W_class",
        **under("layer.L", BERT_LAYER),
    },
    model_types=("electra", "convbert"),
    tied_if="unembed.W_transform",
)

DISTILBERT = Family(
    "distilbert",
    {
        **EMBEDDINGS,
        "pre_classifier.weight": "unembed.W_pool",
        "classifier.weight": "unembed.W_class",
        "vocab_transform.weight": "unembed.W_transform",
        "vocab_projector.weight": "unembed.W_U",
        **under(
            "layer.L",
            {
                "attention.q_lin.weight": "attn.W_Q",
                "attention.k_lin.weight": "attn.W_K",
                "attention.v_lin.weight": "attn.W_V",
                "attention.out_lin.weight": "attn.W_O",
                "ffn.lin1.weight": "mlp.W_in",
                "ffn.lin2.weight": "mlp.W_out",
            },
        ),
    },
    model_types=("distilbert",),
    tied_if="unembed.W_transform",
)

_SHARED = {
    "attention.query.weight": "attn.W_Q",
    "attention.key.weight": "attn.W_K",
    "attention.value.weight": "attn.W_V",
    "attention.dense.weight": "attn.W_O",
    "ffn.weight": "mlp.W_in",
    "ffn_output.weight": "mlp.W_out",
}

ALBERT = Family(
    "albert",
    {
        **EMBEDDINGS,
        "embedding_hidden_mapping_in.weight": "embed.W_proj",
        "albert.pooler.weight": "unembed.W_pool",
        "pooler.weight": "unembed.W_pool",
        "classifier.weight": "unembed.W_class",
        "predictions.dense.weight": "unembed.W_transform",
        "predictions.decoder.weight": "unembed.W_U",
        "sop_classifier.classifier.weight": "unembed.W_class",
        # Every pass through the network uses these same matrices: one site each.
        **under(
            "albert_layer_groups.L.albert_layers.J",
            {pattern: Rule(site, notes=("shared",)) for pattern, site in _SHARED.items()},
        ),
    },
    model_types=("albert",),
    tied_if="unembed.W_transform",
)

DEBERTA = Family(
    "deberta-v2",
    {
        **EMBEDDINGS,
        **_HEADS,
        "embeddings.embed_proj.weight": "embed.W_proj",
        "encoder.rel_embeddings.weight": "embed.W_rel",
        "cls.predictions.transform.dense.weight": "unembed.W_transform",
        "cls.predictions.decoder.weight": "unembed.W_U",
        **under(
            "layer.L",
            {
                **BERT_LAYER,
                "attention.self.query_proj.weight": "attn.W_Q",
                "attention.self.key_proj.weight": "attn.W_K",
                "attention.self.value_proj.weight": "attn.W_V",
                "attention.self.pos_query_proj.weight": "attn.W_Q_pos",
                "attention.self.pos_key_proj.weight": "attn.W_K_pos",
            },
        ),
    },
    model_types=("deberta-v2",),
    tied_if="unembed.W_transform",
)

MODERNBERT = Family(
    "modernbert",
    {
        "embeddings.tok_embeddings.weight": "embed.W_E",
        "head.dense.weight": "unembed.W_transform",
        "decoder.weight": "unembed.W_U",
        "classifier.weight": "unembed.W_class",
        **under(
            "layers.L",
            {
                "attn.Wqkv.weight": Rule("attn", ("W_Q", "W_K", "W_V"), whole="W_QKV"),
                "attn.Wo.weight": "attn.W_O",
                # The activated half comes first.
                "mlp.Wi.weight": Rule("mlp", ("W_gate", "W_in"), whole="W_gate_in"),
                "mlp.Wo.weight": "mlp.W_out",
            },
        ),
    },
    model_types=("modernbert",),
    tied_if="unembed.W_transform",
)

FAMILIES = (BERT, ROBERTA, ELECTRA, DISTILBERT, ALBERT, DEBERTA, MODERNBERT)
