//! One light stemmer for Russian and Ukrainian: their inflections are close enough to share one table of endings.
//!
//! Precise about what belongs together, careless about how a stem looks: it strips the longest ending that leaves
//! enough of the word, then maps what inflection changes inside a stem (`рік`/`року`, `оценок`/`оценка`) to one form.
//! The maps are applied to every word, so they can only join words, never part forms of one.

use std::borrow::Cow;

/// Reflexive endings of verbs.
const REFLEXIVE: &[&str] = &["ся", "сь"];

/// Endings of verbs and participles that need four letters before them.
const VERBAL: &[&str] = &[
    // Infinitives.
    "овать",
    "евать",
    "ивать",
    "ывать",
    "ировать",
    "ювати",
    "увати",
    "ать",
    "ять",
    "ить",
    "еть",
    "уть",
    "ыть",
    "оть",
    "ати",
    "яти",
    "ити",
    "іти",
    "їти",
    "ути",
    "оти",
    // Present and future.
    "ает",
    "яет",
    "уем",
    "ует",
    "юет",
    "еет",
    "ают",
    "яют",
    "уют",
    "еют",
    "аешь",
    "яешь",
    "уешь",
    "еешь",
    "аю",
    "яю",
    "ую",
    "ею",
    "аем",
    "яем",
    "аете",
    "яете",
    "уете",
    "ишь",
    "ешь",
    "ите",
    "ете",
    "ит",
    "ет",
    "ят",
    "ут",
    "ют",
    "ат",
    "ає",
    "яє",
    "ує",
    "ює",
    "іє",
    "аєш",
    "яєш",
    "уєш",
    "ієш",
    "аємо",
    "яємо",
    "уємо",
    "юємо",
    "іємо",
    "аєте",
    "яєте",
    "уєте",
    "юєте",
    "юєш",
    "їмо",
    "їш",
    "ають",
    "яють",
    "ують",
    "юють",
    "іють",
    "уть",
    "ють",
    "ять",
    "ать",
    "ить",
    "имо",
    "емо",
    "ємо",
    "єте",
    "иш",
    "еш",
    "ай",
    "яй",
    "уй",
    "юй",
    "айте",
    "яйте",
    "уйте",
    "йте",
    "іть",
    // Past.
    "ал",
    "ала",
    "али",
    "ало",
    "ял",
    "яла",
    "яли",
    "яло",
    "ил",
    "ила",
    "или",
    "ило",
    "ел",
    "ела",
    "ели",
    "ело",
    "ыл",
    "ыла",
    "ыли",
    "ыло",
    "ул",
    "ула",
    "ули",
    "уло",
    "ів",
    "іла",
    "іли",
    "іло",
    "ав",
    "яв",
    "ив",
    "їв",
    "овал",
    "овала",
    "овали",
    "овало",
    "ировал",
    "ировала",
    "ировали",
    "ировало",
    "ував",
    "ювала",
    "ювали",
    "увала",
    "ували",
    "увало",
    "ював",
    "ирует",
    "ируют",
    "ируем",
    "ирую",
];

/// Endings of nouns, adjectives and pronouns that need three letters before them.
const NOMINAL: &[&str] = &[
    "иями", "иях", "иям", "ией", "иею", "ием", "ии", "ия", "ию", "ие", "ий", "ій", "ії", "ія",
    "ію", "ією", "іями", "іях", "іям", "іє", "ьями", "ьях", "ьям", "ьев", "ья", "ье", "ью", "ьи",
    "ьём", "ьем", "ями", "ами", "ях", "ах", "ям", "ам", "ов", "ев", "ёв", "ів", "їв", "ой", "ей",
    "ою", "ею", "єю", "ом", "ем", "єм", "ові", "еві", "єві", "ого", "его", "ому", "ему", "ыми",
    "ими", "ых", "их", "ым", "им", "ый", "ая", "яя", "ую", "юю", "ое", "ее", "ые", "ій", "ього",
    "ьому", "іми", "іх", "їх", "їми", "їм", "ої", "ьої", "а", "я", "о", "е", "ё", "ы", "и", "і",
    "ї", "у", "ю", "ь", "й", "є",
];

/// The stem of a folded Cyrillic word.
pub(super) fn stem(word: &str) -> Cow<'_, str> {
    let chars: Vec<char> = word.chars().collect();
    let mut n = chars.len();
    if n < 3 {
        return Cow::Borrowed(word);
    }
    if let Some(k) = longest(&chars[..n], REFLEXIVE, 4) {
        n -= k;
    }
    match (
        longest(&chars[..n], VERBAL, 4),
        longest(&chars[..n], NOMINAL, 3),
    ) {
        (Some(v), Some(m)) => n -= v.max(m),
        (Some(k), None) | (None, Some(k)) => n -= k,
        (None, None) => {}
    }
    Cow::Owned(normalise(&chars[..n]))
}

/// The length of the longest of `endings` that leaves at least `at_least` letters with a vowel among them.
fn longest(word: &[char], endings: &[&str], at_least: usize) -> Option<usize> {
    endings
        .iter()
        .filter_map(|ending| {
            let k = ending.chars().count();
            let rest = word.len().checked_sub(k)?;
            let fits = rest >= at_least
                && word[rest..].iter().copied().eq(ending.chars())
                && word[..rest].iter().any(|&c| is_vowel(c));
            fits.then_some(k)
        })
        .max()
}

fn is_vowel(c: char) -> bool {
    matches!(
        c,
        'а' | 'е' | 'и' | 'о' | 'у' | 'ы' | 'э' | 'ю' | 'я' | 'і' | 'ї' | 'є'
    )
}

/// Maps what inflection changes inside a stem to one form.
fn normalise(stem: &[char]) -> String {
    let mut chars = stem.to_vec();
    while chars.len() > 3 && matches!(chars.last(), Some('ь' | 'й')) {
        chars.pop();
    }
    // знанн(я)/знань, сломанн(ый)/сломан.
    if chars.len() > 3 && chars.ends_with(&['н', 'н']) {
        chars.pop();
    }
    let len = chars.len();
    // оценок/оценк(а), отец/отц(а), рынок/рынк(а): the vowel that comes and goes.
    if len >= 4
        && matches!(chars[len - 1], 'к' | 'ц')
        && matches!(chars[len - 2], 'о' | 'е' | 'ё' | 'і')
        && !is_vowel(chars[len - 3])
    {
        chars.remove(len - 2);
    }
    // рік/рок(у), кількіст(ь)/кількост(і): Ukrainian і in a closed last syllable.
    if let Some(last) = chars.iter().rposition(|&c| is_vowel(c))
        && chars[last] == 'і'
        && last + 1 < chars.len()
    {
        chars[last] = 'о';
    }
    chars.into_iter().collect()
}
