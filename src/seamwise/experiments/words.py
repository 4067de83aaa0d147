"""The words of the experiment report, in English and Chinese."""

from __future__ import annotations

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Continual learning report: {name}",
        "lead": (
            "A model learned these domains one after another: {order}. Unless a strategy keeps samples, it never saw "
            "an earlier domain again; this page shows how much of each the strategies ({strategies}) still knew at "
            "the end."
        ),
        "score": "score",
        "summary": "Summary",
        "summary_caption": (
            "Mean ± standard deviation over seeds; a single value means one seed. Bold: the best of the methods that "
            "learn the domains one after another."
        ),
        "references": (
            "{names}: for reference, with one row of scores only. Joint training sees all domains at once, separate "
            "training makes one model a domain; neither can forget."
        ),
        "what_forgetting": (
            "Forgetting is what was known and then lost: for every domain but the last, the best score it had earlier "
            "minus its score at the end, averaged over those domains. 0 means nothing was lost; a negative value means "
            "that later learning helped. Final average is the mean score over all domains after the last one was "
            "learned."
        ),
        "strategy": "Strategy",
        "seeds": "Seeds",
        "final_average": "Final average",
        "forgetting": "Forgetting",
        "backward_transfer": "Backward transfer",
        "newest": "Newest domain",
        "time": "Training time",
        "memory": "Peak memory",
        "over_time": "Each domain over time",
        "over_time_caption": (
            "Each chart follows one domain. To the right, more domains have been learned; the dotted line marks the "
            "moment when the chart's own domain was learned. A line that falls after it shows forgetting; what lies "
            "before it is how well the model did on a domain it had not met yet. Bands: standard deviation over seeds. "
            "Dashed level lines: references with a single row."
        ),
        "after": "domains learned",
        "trade_off": "Old domains against new ones",
        "trade_off_caption": (
            "Across: mean final score on all domains but the last one learned (what was kept). Up: mean score of every "
            "domain right after it was learned (what could still be learned). The upper right corner is best. Bars: "
            "standard deviation over seeds. A reference with one row takes its mean over all domains as its height."
        ),
        "old": "score on old domains at the end",
        "new": "score on each domain when new",
        "matrices": "R matrices",
        "how_to_read": (
            "How to read R: a row is a moment, after learning one more domain; a column is a domain that is tested at "
            "that moment. The outlined diagonal shows each domain just after it was learned. Go down a column from "
            "there to see how much of it is kept; above the diagonal stand domains not yet learned. The last row is "
            "the model at the end. Means over seeds."
        ),
        "row": "after learning",
        "column": "tested on",
        "end": "end",
        "more_scores": "Further scores at the end",
        "mean": "Mean",
        "overlays": "The same pictures after each domain",
        "overlays_caption": "Filled: what the model marked. Outlined: what is really there.",
        "image": "Picture",
        "parameters": "Parameters",
        "no_parameters": "No parameters recorded.",
        "shared": "The same for all",
        "own": "Of single strategies",
        "runs": "Every run",
        "seed": "Seed",
        "setting": "How this was made",
        "command": "Command",
        "versions": "Versions",
        "machine": "Machine",
        "created": "Made on",
        "metric": "Score",
        "total_time": "Total training time",
        "no_runs": "No runs yet: the comparison has not finished any.",
    },
    "zh": {
        "title": "持续学习报告：{name}",
        "lead": (
            "同一个模型按顺序学习了以下领域：{order}。除非所用方法保存样本，否则不会再看到以前的领域；"
            "本页展示各方法（{strategies}）最后对每个领域还保留了多少。"
        ),
        "score": "得分",
        "summary": "汇总",
        "summary_caption": (
            "各随机种子的均值 ± 标准差；只有一个数值时表示仅一个种子。粗体：依次学习各领域的方法中最好的结果。"
        ),
        "references": (
            "{names}：仅供参照，只有一行得分。联合训练同时看到所有领域，独立训练为每个领域各建一个模型，二者都不会遗忘。"
        ),
        "what_forgetting": (
            "遗忘率表示学会之后又丢失的部分：除最后一个领域外，每个领域此前的最高得分减去最终得分，再取平均。"
            "0 表示没有丢失；负值表示后来的学习反而有帮助。最终平均是学完最后一个领域后在所有领域上的平均得分。"
        ),
        "strategy": "方法",
        "seeds": "种子数",
        "final_average": "最终平均",
        "forgetting": "遗忘率",
        "backward_transfer": "后向迁移",
        "newest": "最新领域",
        "time": "训练时间",
        "memory": "内存峰值",
        "over_time": "各领域得分随学习过程的变化",
        "over_time_caption": (
            "每幅图对应一个领域。越往右，学过的领域越多；点线标出学习该领域的时刻。此后曲线下降即为遗忘；"
            "此前的部分是模型在尚未学过的领域上的表现。色带：各种子的标准差。水平虚线：只有一行得分的参照方法。"
        ),
        "after": "已学领域数",
        "trade_off": "旧领域与新领域的权衡",
        "trade_off_caption": (
            "横轴：除最后所学领域外，所有领域的最终平均得分（保留了多少）。纵轴：每个领域刚学完时得分的平均（还能学会多少）。"
            "越靠右上角越好。误差线：各种子的标准差。只有一行得分的参照方法，其纵坐标取所有领域的平均。"
        ),
        "old": "旧领域的最终得分",
        "new": "各领域刚学完时的得分",
        "matrices": "R 矩阵",
        "how_to_read": (
            "R 矩阵的读法：一行是一个时刻，即又学完一个领域之后；一列是在该时刻测试的领域。"
            "带框的对角线是各领域刚学完时的得分。"
            "从对角线沿一列往下看，就知道这个领域保留了多少；对角线上方是尚未学过的领域。"
            "最后一行是最终的模型。数值为各种子的均值。"
        ),
        "row": "学完之后",
        "column": "测试领域",
        "end": "最终",
        "more_scores": "其他最终得分",
        "mean": "平均",
        "overlays": "同一批图像在学完各领域之后的结果",
        "overlays_caption": "填色：模型标出的区域。轮廓：真实的缺陷。",
        "image": "图像",
        "parameters": "参数",
        "no_parameters": "没有记录参数。",
        "shared": "所有方法相同",
        "own": "各方法自有",
        "runs": "全部运行",
        "seed": "种子",
        "setting": "如何得到这些结果",
        "command": "命令",
        "versions": "版本",
        "machine": "机器",
        "created": "生成时间",
        "metric": "得分",
        "total_time": "训练总时间",
        "no_runs": "还没有运行：比较尚未完成任何一次运行。",
    },
}

# Scores by their names in the results file.
SCORES: dict[str, dict[str, str]] = {
    "en": {
        "defect_iou": "defect IoU",
        "mean_defect_class_iou": "mean IoU of the defect classes",
        "mean_iou": "Mean IoU, background included",
        "defect_dice": "Defect Dice",
        "defect_recall": "Defect recall: share of the defects found",
        "false_calls_per_image": "False calls per image",
        "auroc": "AUROC of images with a defect against images without",
        "recall_at_far": "Recall of images with a defect at one false alarm in ten",
    },
    "zh": {
        "defect_iou": "缺陷 IoU",
        "mean_defect_class_iou": "各缺陷类别平均 IoU",
        "mean_iou": "平均 IoU(含背景)",
        "defect_dice": "缺陷 Dice",
        "defect_recall": "缺陷检出率",
        "false_calls_per_image": "每幅图像误报数",
        "auroc": "有缺陷与无缺陷图像的 AUROC",
        "recall_at_far": "误报率为十分之一时有缺陷图像的检出率",
    },
}
